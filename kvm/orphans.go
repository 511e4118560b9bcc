package kvm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/guestforge/provision"
)

// Names of ours hold a random UUID (version 4; of trials, 7, which has the time in
// it), which no other tool would come upon, and a part that says what it is.
var (
	volumeRE = regexp.MustCompile(`^(` + ourUUID + `)\.(root|disk|seed|console|nvram|trial)[.0-9a-zA-Z_-]*$`)
	trialRE  = regexp.MustCompile(`^` + trialPrefix + `(` + ourUUID + `)$`)
)

const ourUUID = `[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`

// trialLife is more than a trial can last: the volumes of one are there for a
// moment without a domain.
const trialLife = 5 * time.Minute

var volumeKinds = map[string]provision.OrphanKind{
	"root": provision.OrphanVolume, "disk": provision.OrphanVolume, "seed": provision.OrphanSeed,
	"console": provision.OrphanLog, "nvram": provision.OrphanVolume, "trial": provision.OrphanTrial,
}

// stray is an orphan that is a volume, and the pool that it is in.
type stray struct {
	provision.Orphan
	pool *pool
}

// Orphans implements [provision.Sweeper]. It sees the volumes of Options.Pool and
// FilePool, as far as the pools know them, and domains of trials. Guests are those
// of this libvirtd: in a pool that several machines share, what the others' guests
// have looks like an orphan.
func (b *Backend) Orphans(ctx context.Context) ([]provision.Orphan, error) {
	volumes, err := b.strays(ctx, "", func(*provision.Orphan) bool { return true })
	if err != nil {
		return nil, err
	}
	domains, err := b.domains(ctx)
	if err != nil {
		return nil, err
	}
	var list []provision.Orphan
	for _, v := range volumes {
		list = append(list, v.Orphan)
	}
	return append(list, trialOrphans(domains)...), nil
}

// strays finds the orphans among the volumes whose names begin with a prefix,
// and of them those that are wanted.
//
// Volumes are listed before domains are: a guest's domain is defined before anything
// else of it is made, so what a running Create has made when it is listed has a
// domain already, which is listed after it; and what a running Delete removes goes
// before its domain, so it is gone when it is looked at.
func (b *Backend) strays(ctx context.Context, prefix string, wanted func(*provision.Orphan) bool) ([]stray, error) {
	pools, err := b.pool(ctx)
	if err != nil {
		return nil, err
	}
	var list []stray
	for _, p := range pools.each() {
		vols, err := b.volumes(ctx, p, prefix)
		if err != nil {
			return nil, err
		}
		list = append(list, candidates(p, vols)...)
		if p.block() {
			continue // it never has images
		}
		torn, err := b.tornImages(ctx, p, vols)
		if err != nil {
			return nil, err
		}
		list = append(list, torn...)
	}
	list = slices.DeleteFunc(list, func(o stray) bool { return !wanted(&o.Orphan) })
	if len(list) == 0 {
		return nil, nil
	}
	domains, err := b.domains(ctx)
	if err != nil {
		return nil, err
	}
	if list, err = b.unused(ctx, ownerless(list, domains)); err != nil {
		return nil, err
	}
	return b.describe(ctx, list)
}

// candidates are volumes with the form of our names.
func candidates(p *pool, vols []libvirt.StorageVol) []stray {
	var list []stray
	for _, v := range vols {
		if m := volumeRE.FindStringSubmatch(v.Name); m != nil {
			kind := volumeKinds[m[2]]
			list = append(list, stray{pool: p, Orphan: provision.Orphan{Kind: kind, Name: v.Name, ID: provision.ID(m[1]), Evidence: []string{
				fmt.Sprintf("its name, in pool %s, has the form of what is made for a guest (%s)", p.name, kind)}}})
		}
	}
	return list
}

// ownerless leaves out what is of a guest that is there.
func ownerless(list []stray, domains []libvirt.Domain) []stray {
	owners := map[provision.ID]bool{}
	for _, d := range domains {
		owners[idOf(d.UUID)] = true
	}
	var rest []stray
	for _, o := range list {
		if owners[o.ID] {
			continue
		}
		if o.ID != "" {
			o.Evidence = append(o.Evidence, "no domain has the ID "+string(o.ID))
		}
		rest = append(rest, o)
	}
	return rest
}

// tornImages are volumes with the names of an image's content or manifest of
// which there is no image: the manifest is written last.
func (b *Backend) tornImages(ctx context.Context, p *pool, vols []libvirt.StorageVol) ([]stray, error) {
	whole, unclear := map[string]bool{}, map[string]bool{}
	for _, v := range vols {
		name, ok := imageOf(v.Name, manifestSuffix)
		if !ok {
			continue
		}
		img, err := b.manifest(ctx, v)
		switch {
		case err == nil:
			whole[v.Name], whole[contentName(img.Name, img.Format)] = true, true
		case errors.Is(err, errNotOurs):
			unclear[name] = true
		case !errors.Is(err, provision.ErrNotFound):
			return nil, err
		}
	}
	var list []stray
	for _, v := range vols {
		for _, suffix := range []string{manifestSuffix, ".qcow2", ".raw"} {
			name, ok := imageOf(v.Name, suffix)
			if ok && !whole[v.Name] && !unclear[name] {
				list = append(list, stray{pool: p, Orphan: provision.Orphan{Kind: provision.OrphanImage, Name: v.Name, Image: name, Evidence: []string{
					fmt.Sprintf("its name, in pool %s, has the form of a part of image %s", p.name, name),
					"no manifest of an image names it: an import did not finish"}}})
			}
		}
	}
	return list, nil
}

// imageOf takes the name of an image out of that of a volume.
func imageOf(volume, suffix string) (string, bool) {
	rest, ok := strings.CutPrefix(volume, imagePrefix)
	name, ok2 := strings.CutSuffix(rest, suffix)
	return name, ok && ok2 && name != ""
}

// unused leaves out what a domain refers to, whoever made it, and what a volume
// stands on, unless that is left of the same guest.
func (b *Backend) unused(ctx context.Context, list []stray) ([]stray, error) {
	want := map[string]bool{}
	for _, o := range list {
		want[o.Name], want[o.pool.path(o.Name)] = true, true
	}
	if len(want) == 0 {
		return nil, nil
	}
	used, err := b.users(ctx, want)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(o stray) bool {
		return slices.ContainsFunc(slices.Concat(used[o.Name], used[o.pool.path(o.Name)]), func(by string) bool {
			return o.ID == "" || !strings.HasPrefix(by, "volume "+string(o.ID)+".")
		})
	}), nil
}

// describe adds size and age of volumes, and leaves out those that are gone.
func (b *Backend) describe(ctx context.Context, list []stray) ([]stray, error) {
	var rest []stray
	for _, o := range list {
		v, err := b.byName(ctx, o.pool, o.Name)
		var doc *libvirtxml.StorageVolume
		if err == nil {
			doc, err = b.volumeDoc(ctx, v)
		}
		if errors.Is(err, provision.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if doc.Allocation != nil {
			o.Size = provision.Bytes(doc.Allocation.Value)
		}
		if o.Modified = modified(doc); o.Kind == provision.OrphanTrial && time.Since(o.Modified) < trialLife {
			continue
		}
		if !o.Modified.IsZero() {
			o.Evidence = append(o.Evidence, "last written to "+o.Modified.Format(time.RFC3339))
		}
		o.Evidence = append(o.Evidence, "no domain names it and no volume stands on it")
		rest = append(rest, o)
	}
	return rest, nil
}

// modified reads "1763856000.123456789"; zero where there is none.
func modified(doc *libvirtxml.StorageVolume) time.Time {
	if doc.Target == nil || doc.Target.Timestamps == nil {
		return time.Time{}
	}
	sec, _, _ := strings.Cut(doc.Target.Timestamps.Mtime, ".")
	n, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// isTrial says whether a domain is one of a trial: no guest of ours has a name with
// its own ID in it.
func isTrial(d libvirt.Domain) bool {
	m := trialRE.FindStringSubmatch(d.Name)
	return m != nil && m[1] == string(idOf(d.UUID))
}

// trialOrphans are domains of trials that outlived their connection, which
// libvirtd forgets about when it is restarted.
func trialOrphans(domains []libvirt.Domain) []provision.Orphan {
	var list []provision.Orphan
	for _, d := range domains {
		made := trialTimeOf(idOf(d.UUID))
		if !isTrial(d) || time.Since(made) < trialLife {
			continue
		}
		o := provision.Orphan{Kind: provision.OrphanTrial, Name: d.Name, ID: idOf(d.UUID), Modified: made, Evidence: []string{
			"its name and ID are those of a trial, which lasts seconds"}}
		if !made.IsZero() {
			o.Evidence = append(o.Evidence, "it was started at "+made.Format(time.RFC3339))
		}
		list = append(list, o)
	}
	return list
}

// RemoveOrphan implements [provision.Sweeper]. With a console log go the older
// ones that virtlogd has made of it and that the pool does not know.
func (b *Backend) RemoveOrphan(ctx context.Context, o provision.Orphan, before time.Time) error {
	same := func(a *provision.Orphan) bool {
		return a.Kind == o.Kind && a.Name == o.Name && a.ID == o.ID && a.Image == o.Image
	}
	refused := fmt.Errorf("%w: %s is no orphan, or was written to after %s", provision.ErrConflict, o.Name, before.Format(time.RFC3339))
	if trialRE.MatchString(o.Name) {
		domains, err := b.domains(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(trialOrphans(domains), func(a provision.Orphan) bool { return same(&a) && !a.Modified.After(before) }) {
			return refused
		}
		return gone(b.Stop(ctx, o.ID, provision.Kill))
	}
	prefix := o.Name
	if o.Image != "" {
		prefix = imagePrefix + o.Image // its manifest too
	}
	found, err := b.strays(ctx, prefix, same)
	if err != nil {
		return err
	}
	if len(found) == 0 || slices.ContainsFunc(found, func(a stray) bool { return a.Modified.After(before) }) {
		return refused
	}
	for _, v := range found {
		if err := b.removeStray(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backend) removeStray(ctx context.Context, o stray) error {
	if o.Name == consoleName(o.ID) {
		if err := b.removeOldLogs(ctx, o.pool, o.Name); err != nil {
			return err
		}
	}
	v, err := b.byName(ctx, o.pool, o.Name)
	if err != nil {
		return gone(err)
	}
	return b.erase(ctx, v, o.pool.block())
}

// removeOldLogs removes those that the pool does not know; the others are
// orphans of their own.
func (b *Backend) removeOldLogs(ctx context.Context, p *pool, log string) error {
	known, err := b.volumes(ctx, p, log+".")
	if err == nil {
		err = b.reveal(ctx, p, log+".0")
	}
	if err != nil {
		return err
	}
	all, err := b.volumes(ctx, p, log+".")
	for _, v := range all {
		if slices.ContainsFunc(known, func(k libvirt.StorageVol) bool { return k.Name == v.Name }) {
			continue
		}
		if err := b.erase(ctx, v, p.block()); err != nil {
			return err
		}
	}
	return err
}

func sortedSet(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

var _ provision.Sweeper = (*Backend)(nil)
