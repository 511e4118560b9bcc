package kvm

import (
	"context"
	"errors"
	"fmt"

	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// hugePages tells of the host's pools of them. None is as good: few guests ask.
func (e *examination) hugePages(ctx context.Context) ([]provision.Finding, error) {
	if e.caps.Host.NUMA == nil || e.caps.Host.NUMA.Cells == nil {
		return fine("what huge pages there are is not known", ""), nil
	}
	var list []provision.Finding
	for _, cell := range e.caps.Host.NUMA.Cells.Cells {
		for _, pages := range cell.PageInfo {
			if pages.Unit != "KiB" || pages.Size <= 4 || pages.Count == 0 {
				continue
			}
			seen := fmt.Sprintf("node %d: %d pages of %d KiB", cell.ID, pages.Count, pages.Size)
			free, err := e.freePages(ctx, pages.Size, cell.ID)
			var answer libvirt.Error
			switch {
			case errors.As(err, &answer):
				seen += "; how many are free, libvirt does not tell"
			case err != nil:
				return nil, err
			default:
				seen += fmt.Sprintf(", %d are free", free)
			}
			list = append(list, fine("there are huge pages for guests", seen)...)
		}
	}
	if list == nil {
		list = fine("there are no huge pages", "")
		list[0].Remedy = "for guests with memory.hugePages, reserve some: hugepages= on the kernel's command line, or vm.nr_hugepages"
	}
	return list, nil
}

func (e *examination) freePages(ctx context.Context, kib, cell int) (free uint64, err error) {
	err = e.read(ctx, func(l *libvirt.Libvirt) error {
		counts, err := l.NodeGetFreePages([]uint32{uint32(kib)}, int32(cell), 1, 0)
		if err == nil && len(counts) > 0 {
			free = counts[0]
		}
		return err
	})
	return free, err
}

// ksm: merged pages let a tenant find out what others have in memory, by the time
// that a write takes.
func (e *examination) ksm(context.Context) ([]provision.Finding, error) {
	seen := "run " + e.text("sys/kernel/mm/ksm/run")
	switch e.text("sys/kernel/mm/ksm/run") {
	case "":
		return fine("the kernel does not merge equal pages of guests", "it has no KSM"), nil
	case "1":
		return warn("the kernel merges equal pages of guests: tenants can find out by it what others have in memory", seen+", pages_sharing "+e.text("sys/kernel/mm/ksm/pages_sharing"),
			"where tenants do not trust each other, switch it off: systemctl disable --now ksmtuned ksm; echo 2 >/sys/kernel/mm/ksm/run"), nil
	}
	return fine("the kernel does not merge equal pages of guests", seen), nil
}
