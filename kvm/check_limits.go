package kvm

import (
	"context"
	"errors"
	"fmt"

	"github.com/guestforge/provision"
)

// limits says which cannot be had on this host. It takes trials.
func (e *examination) limits(ctx context.Context) ([]provision.Finding, error) {
	f, err := e.checkLimits(ctx)
	return []provision.Finding{f}, err
}

func (b *Backend) checkLimits(ctx context.Context) (provision.Finding, error) {
	f := provision.Finding{Check: "limits", Severity: provision.SeverityInfo, Message: "all limits can be enforced"}
	missing := 0
	for _, l := range []struct {
		name    string
		feature provision.Feature
	}{{"cpu.limit and cpu.weight", provision.FeatureCPULimit}, {"nics.rate", provision.FeatureNICRate}, {"locked memory", featureLocks}} {
		err := b.Try(ctx, l.feature)
		var no *provision.UnsupportedError
		var pool *provision.FieldError
		switch {
		case errors.As(err, &pool), errors.Is(err, errNoTrial), errors.As(err, &no) && no.Feature != l.feature:
			f.Severity, f.Message = provision.SeverityWarning, "limits were not tried, because no guest runs yet; see the other findings"
			return f, nil
		case no != nil:
			if f.Evidence != "" {
				f.Evidence += "; "
			}
			f.Evidence += fmt.Sprintf("%s: %s", l.name, no.Reason)
			missing++
		case err != nil:
			return f, err
		}
	}
	if missing > 0 {
		f.Severity, f.Message = provision.SeverityWarning, "some limits cannot be enforced here"
		f.Remedy = "let libvirtd use control groups (cgroup_controllers in qemu.conf), have the kernel load sch_htb, sch_sfq, cls_u32 and act_police, give libvirtd CAP_SYS_RESOURCE"
	}
	return f, nil
}
