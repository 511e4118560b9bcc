package kvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/domainxml"
)

// trialTime is what a guest has to execute 20 million instructions in. With KVM
// that takes a fraction of a second, firmware included; where /dev/kvm opens but
// its kernel emulates each instruction, it takes ten seconds and more.
const trialTime = 5 * time.Second

// trialSector is a boot sector (16-bit x86) that counts down from ten million
// and then writes a line to the first serial port.
func trialSector() []byte {
	code := []byte{
		0x66, 0xb9, 0x80, 0x96, 0x98, 0x00, // mov ecx, 10000000
		0x66, 0x49, // dec ecx
		0x75, 0xfc, // jnz back to dec
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
	}
	for _, c := range []byte(trialLine) {
		code = append(code, 0xb0, c, 0xee) // mov al, c; out dx, al
	}
	code = append(code, 0xf4, 0xeb, 0xfd) // hlt; jump back to it
	sector := make([]byte, 512)
	copy(sector, code)
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}

const trialLine = "a guest runs\n"

// Names of what a trial makes. A process that is killed in the middle of one
// leaves them, and Orphans finds them.
const trialPrefix = "provision-trial-"

func trialName(id provision.ID) string    { return string(id) + ".trial.img" }
func trialLogName(id provision.ID) string { return string(id) + ".trial.log" }

// newTrial makes the ID of a trial: a UUID of version 7 has the time in it, so
// that Orphans can tell a trial that is under way.
func newTrial() (provision.ID, error) {
	id, err := uuid.NewV7()
	return provision.ID(id.String()), err
}

// trialTimeOf is when a trial began; zero where its ID does not say.
func trialTimeOf(trial provision.ID) time.Time {
	id, err := uuid.Parse(string(trial))
	if err != nil || id.Version() != 7 {
		return time.Time{}
	}
	return time.Unix(id.Time().UnixTime()).UTC()
}

// emulated decides how a new guest runs: with KVM where that really works. The
// trial is made until it succeeds once: a host that was short of memory or disk
// space is not one without KVM.
func (b *Backend) emulated(ctx context.Context) (bool, error) {
	if b.opts.Emulation == EmulateAlways {
		return true, nil
	}
	err := b.kvmWorks(ctx)
	var no *provision.UnsupportedError
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &no) && b.opts.Emulation == EmulateIfMust:
		return true, nil
	}
	return false, err
}

// kvmWorks returns an UnsupportedError that says why KVM does not.
func (b *Backend) kvmWorks(ctx context.Context) error {
	select {
	case b.trial <- struct{}{}:
		defer func() { <-b.trial }()
	case <-ctx.Done():
		return ended(ctx)
	}
	if b.works {
		return nil
	}
	err := b.tryKVM(ctx)
	b.works = err == nil
	return err
}

func (b *Backend) tryKVM(ctx context.Context) error {
	err := b.read(ctx, func(l *libvirt.Libvirt) error {
		_, err := l.ConnectGetDomainCapabilities(nil, nil, nil, libvirt.OptString{"kvm"}, 0)
		return err
	})
	var answer libvirt.Error
	if errors.As(err, &answer) {
		return noKVM(answer.Message)
	}
	if err != nil {
		return err
	}
	pools, err := b.pool(ctx)
	if err != nil {
		return err
	}
	p := pools.ofFiles()
	id, err := newTrial()
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.opts.Timeout)
		defer cancel()
		if err := b.deleteVolumes(ctx, id); err != nil {
			b.opts.Logger.WarnContext(ctx, "volumes of a trial are left", "prefix", id, "err", err)
		}
	}()
	if err := b.store(ctx, p, trialName(id), append(trialSector(), make([]byte, 1<<20-512)...)); err != nil {
		return err
	}
	log, err := b.createVolume(ctx, p, volume{name: trialLogName(id), format: "raw"})
	if err != nil {
		return err
	}
	return b.runTrial(ctx, p, id, log)
}

// runTrial runs a domain that ends with its connection.
func (b *Backend) runTrial(ctx context.Context, p *pool, id provision.ID, log libvirt.StorageVol) error {
	text, err := domainxml.Build(domainxml.Guest{
		Name: trialPrefix + string(id), UUID: string(id), CPUs: 1, Memory: 32 << 20, ConsoleLog: p.path(trialLogName(id)),
		Disks: []domainxml.Disk{{Path: p.path(trialName(id)), Format: "raw"}},
	})
	if err != nil {
		return err
	}
	return b.write(ctx, func(l *libvirt.Libvirt) error {
		d, err := l.DomainCreateXML(string(text), libvirt.DomainStartAutodestroy)
		var answer libvirt.Error
		if errors.As(err, &answer) {
			return noKVM(answer.Message)
		}
		if err != nil {
			return err
		}
		verdict := awaitTrial(ctx, l, log)
		if err := l.DomainDestroyFlags(d, 0); err != nil && !hasCode(err, libvirt.ErrNoDomain) {
			return err
		}
		return verdict
	})
}

func awaitTrial(ctx context.Context, l *libvirt.Libvirt, log libvirt.StorageVol) error {
	for begin := time.Now(); time.Since(begin) < trialTime; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var out bytes.Buffer
		if err := l.StorageVolDownload(log, &out, 0, 4096, 0); err != nil {
			return err
		}
		if bytes.Contains(out.Bytes(), []byte(trialLine)) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return noKVM(fmt.Sprintf("it did not get through 20 million instructions in %s", trialTime))
}

// noKVM takes the last line of what QEMU said, without its time stamp.
func noKVM(why string) error {
	lines := strings.Split(strings.TrimSpace(why), "\n")
	last := stampRE.ReplaceAllString(lines[len(lines)-1], "")
	return &provision.UnsupportedError{Feature: "hardware acceleration", Kind: "kvm",
		Reason: "a trial guest does not run with /dev/kvm (" + last + "); kvm.Options.Emulation allows to emulate guests in software"}
}

var stampRE = regexp.MustCompile(`^.*\d{4}-\d\d-\d\dT[0-9:.]+Z `)
