package provision

import "context"

// Severity of a [Finding].
type Severity string

// Severities. With an error, guests cannot run as they should.
const (
	SeverityInfo    Severity = "info"
	SeverityWarning Severity = "warning"
	SeverityError   Severity = "error"
)

// Finding is something about the machine that its owner should know.
type Finding struct {
	Check    string   `json:"check"` // what was looked at: "kvm", "pool", "bridge"
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Evidence string   `json:"evidence,omitempty"` // what was seen
	Remedy   string   `json:"remedy,omitempty"`   // what to do
}

// Check examines the machine. Findings that only inform are part of the answer;
// none of severity error means that guests can be made and run, and that no
// guest runs although it is suspended.
func (h *Host) Check(ctx context.Context) ([]Finding, error) {
	c, err := need[Checker](h, FeatureCheck)
	if err != nil {
		return nil, h.wrap("check", "", err)
	}
	var list []Finding
	err = h.call(ctx, Call{Op: "check"}, func(ctx context.Context) (err error) {
		list, err = c.Check(ctx)
		return err
	})
	if err != nil {
		return list, h.wrap("check", "", err)
	}
	more, err := h.checkSuspended(ctx)
	return append(list, more...), h.wrap("check", "", err)
}
