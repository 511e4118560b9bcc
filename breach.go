package provision

import (
	"context"
	"fmt"
	"strings"
)

// What breaks a suspension.
const (
	startedByOthers = "started by other means"
	startsWithHost  = "it starts with its host all the same"
)

// breach says what is wrong with the suspension of a guest, for the Reason of its
// Status, which has the suspension's own reasons beside it: our own starts are
// refused, but other tools may start it, and a call that was killed may have left
// it half-way.
func breach(st *Status, r *record) string {
	s := r.Suspended
	on := st.State.Live() && st.State != StateStopping
	switch {
	case r.Lifting != nil:
		return "its unsuspend is not finished; Unsuspend again or Start does it"
	case s == nil:
		return ""
	case on && s.Off:
		return startedByOthers
	case on:
		return "its suspend is not finished; Suspend again does it"
	case st.Autostart:
		return startsWithHost
	}
	return ""
}

// checkSuspended finds guests that run, or will with their host, although they
// are suspended.
func (h *Host) checkSuspended(ctx context.Context) ([]Finding, error) {
	found, err := h.found(ctx)
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, f := range found {
		st, rec := h.guestOf(f)
		if rec == nil || rec.Phase != complete || rec.Suspended == nil {
			continue
		}
		why := breach(&st, rec)
		if why == "" {
			continue
		}
		list = append(list, Finding{
			Check: "suspended", Severity: SeverityError,
			Message:  fmt.Sprintf("guest %q is suspended: %s", st.Name, why),
			Evidence: fmt.Sprintf("it is %s, its autostart is %s; ID %s", st.State, onOff(st.Autostart), st.ID),
			Remedy:   fmt.Sprintf("suspend it again (reason %s), which stops it; find out who started it", rec.Suspended.Reasons[0]),
		})
	}
	return list, nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// inEvent is the reason of a Status in an event, which has no list of suspensions.
func inEvent(reason string, suspended []string) string {
	if len(suspended) > 0 && (strings.HasSuffix(reason, startedByOthers) || strings.HasSuffix(reason, startsWithHost)) {
		reason += " although suspended: " + strings.Join(suspended, ", ")
	}
	return reason
}

// explain adds to an event that a guest is on what Status would say of its
// suspension. The guest is looked at for that; where it cannot be, the event is
// told as it came.
func (h *Host) explain(ctx context.Context, e Event) Event {
	if e.Type != EventState || !e.State.Live() || e.ID == "" {
		return e
	}
	st, rec, err := h.inspect(ctx, Ref{ID: e.ID})
	if err != nil || rec == nil || rec.Suspended == nil {
		return e
	}
	if why := breach(&st, rec); why != "" {
		e.Reason = strings.TrimPrefix(e.Reason+"; "+inEvent(why, rec.Suspended.Reasons), "; ")
	}
	return e
}
