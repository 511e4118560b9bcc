package provisiontest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/guestforge/provision"
)

type leaky struct{ *Backend }

func (b leaky) Delete(ctx context.Context, id provision.ID, s *provision.Steps) error {
	err := b.Backend.Delete(ctx, id, s)
	return errors.Join(err, b.update(ctx, func(m *machine) error {
		put(&m.Volumes, "forgotten", volume{Owner: id})
		return nil
	}))
}

type strictDelete struct{ *Backend }

func (b strictDelete) Delete(ctx context.Context, id provision.ID, s *provision.Steps) error {
	if _, err := b.Inspect(ctx, provision.Ref{ID: id}); err != nil {
		return err
	}
	return b.Backend.Delete(ctx, id, s)
}

type diskFirst struct{ *Backend }

func (b diskFirst) Create(ctx context.Context, n *provision.NewGuest, s *provision.Steps) error {
	err := b.step(ctx, s, "early disk", func(m *machine) error { return m.addVolume(n, 0, n.Spec.Disks[0]) })
	if err != nil {
		return err
	}
	return b.Backend.Create(ctx, n, s)
}

type lossyRecord struct{ *Backend }

func (b lossyRecord) SetRecord(ctx context.Context, id provision.ID, r provision.Record) error {
	return b.Backend.SetRecord(ctx, id, bytes.ReplaceAll(r, []byte(`\r`), nil))
}

type shortList struct{ *Backend }

func (b shortList) List(ctx context.Context) ([]provision.Found, error) {
	list, err := b.Backend.List(ctx)
	return list[:max(len(list)-1, 0)], err
}

type silent struct{ *Backend }

func (b silent) Inspect(ctx context.Context, ref provision.Ref) (provision.Found, error) {
	f, err := b.Backend.Inspect(ctx, ref)
	f.Status.Limits = nil
	return f, err
}

type unisolated struct{ *Backend }

func (b unisolated) Create(ctx context.Context, n *provision.NewGuest, s *provision.Steps) error {
	spec := n.Spec.Copy()
	for i := range spec.NICs {
		spec.NICs[i].Isolated = false
	}
	return b.Backend.Create(ctx, &provision.NewGuest{ID: n.ID, Spec: &spec, Record: n.Record}, s)
}

type immortal struct{ *Backend }

func (b immortal) Stop(context.Context, provision.ID, provision.StopMode) error { return nil }

type noPause struct{ *Backend }

func (b noPause) Pause(context.Context, provision.ID) error { return nil }

type noAutostart struct{ *Backend }

func (b noAutostart) SetAutostart(context.Context, provision.ID, bool) error { return nil }

type rewound struct{ *Backend }

func (b rewound) ConsoleLog(ctx context.Context, id provision.ID, _ int64) ([]byte, error) {
	return b.Backend.ConsoleLog(ctx, id, 0)
}

type boaster struct{ *Backend }

func (b boaster) Preflight(ctx context.Context, s *provision.Spec) ([]provision.Limit, error) {
	if s.CPU.Limit != 0 {
		return nil, &provision.UnsupportedError{Feature: provision.FeatureCPULimit, Kind: "sim", Reason: "it was only declared"}
	}
	return b.Backend.Preflight(ctx, s)
}

type credulous struct{ *Backend }

func (b credulous) ImportImage(ctx context.Context, n *provision.NewImage, r io.Reader, s *provision.Steps) (provision.Image, error) {
	return b.Backend.ImportImage(ctx, n, readerFunc(func(p []byte) (int, error) {
		k, err := r.Read(p)
		if err != nil {
			err = io.EOF
		}
		return k, err
	}), s)
}

type careless struct{ *Backend }

func (b careless) NeedsImage(context.Context, provision.ID, string) (bool, error) { return false, nil }

type possessive struct{ *Backend }

func (b possessive) NeedsImage(context.Context, provision.ID, string) (bool, error) { return true, nil }

type unready struct{ *Backend }

func (b unready) Watch(ctx context.Context) iter.Seq2[provision.Event, error] {
	return func(yield func(provision.Event, error) bool) {
		for e, err := range b.Backend.Watch(ctx) {
			if e.Type == provision.EventReady {
				e.Type = provision.EventChanged
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

type secretive struct{ *Backend }

func (b secretive) Watch(ctx context.Context) iter.Seq2[provision.Event, error] {
	return func(yield func(provision.Event, error) bool) {
		for e, err := range b.Backend.Watch(ctx) {
			if strings.HasPrefix(string(e.ID), "foreign-") {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

type leakyWatch struct{ *Backend }

func (b leakyWatch) Watch(ctx context.Context) iter.Seq2[provision.Event, error] {
	return func(yield func(provision.Event, error) bool) {
		go func() { <-b.closed }()
		b.Backend.Watch(ctx)(yield)
	}
}

type eagerPlan struct{ *Backend }

func (b eagerPlan) Preflight(ctx context.Context, s *provision.Spec) ([]provision.Limit, error) {
	err := b.update(ctx, func(m *machine) error {
		put(&m.Volumes, "prepared", volume{})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.Backend.Preflight(ctx, s)
}

type still struct{ *Backend }

func (b still) Usage(ctx context.Context, ids []provision.ID) (map[provision.ID]provision.Usage, error) {
	all, err := b.Backend.Usage(ctx, ids)
	for id, u := range all {
		u.CPU = 1
		all[id] = u
	}
	return all, err
}

type oneRun struct{ *Backend }

func (b oneRun) Usage(ctx context.Context, ids []provision.ID) (map[provision.ID]provision.Usage, error) {
	all, err := b.Backend.Usage(ctx, ids)
	for id, u := range all {
		if u.Live() {
			u.Run = "1"
		}
		all[id] = u
	}
	return all, err
}

type greedy struct{ *Backend }

func (b greedy) Orphans(ctx context.Context) ([]provision.Orphan, error) {
	var list []provision.Orphan
	err := b.view(ctx, func(m *machine) error {
		for name, v := range m.Volumes {
			list = append(list, provision.Orphan{Kind: provision.OrphanVolume, Name: name, ID: v.Owner, Evidence: []string{"its name"}})
		}
		return nil
	})
	return list, err
}

type keeper struct{ *Backend }

func (b keeper) RemoveOrphan(context.Context, provision.Orphan, time.Time) error { return nil }

type hasty struct{ *Backend }

func (b hasty) RemoveOrphan(ctx context.Context, o provision.Orphan, before time.Time) error {
	return b.Backend.RemoveOrphan(ctx, o, before.Add(time.Hour))
}

type talkative struct{ *Backend }

func (b talkative) Render(ctx context.Context, n *provision.NewGuest) ([]byte, error) {
	text, err := b.Backend.Render(ctx, n)
	return append(text, n.Spec.UserData...), err
}
