package provision

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// recordVersion is raised when older versions of this library would misread
// the record of a newer one.
const recordVersion = 1

// phase is the mark of an operation that has not finished: it is written before
// the operation begins and cleared when it is done.
type phase string

const (
	complete phase = ""
	creating phase = "creating"
	deleting phase = "deleting"
)

// record is what Host keeps with a guest. No secret is in it.
type record struct {
	Version int       `json:"v"`
	ID      ID        `json:"id"`
	Phase   phase     `json:"phase,omitempty"`
	Created time.Time `json:"created"`
	// Request is the digest of the Spec as the caller of Create gave it.
	Request string `json:"request"`
	// Spec is complete with defaults, and without secrets.
	Spec Spec `json:"spec"`
	// Secrets holds digests of what is left out of Spec, by path.
	Secrets   map[string]string `json:"secrets,omitempty"`
	Suspended *suspension       `json:"suspended,omitempty"`
	// Lifting remembers what an Unsuspend still has to do: the suspension is
	// over, and power and autostart are not yet as before.
	Lifting *lifting `json:"lifting,omitempty"`
	// Resizing is what a Resize wants that has not finished: the guest is as Spec
	// says, as this says, or something of both.
	Resizing *Spec `json:"resizing,omitempty"`
	// Waiting lists the limits that a guest that is on has only from its next start.
	Waiting []string `json:"waiting,omitempty"`
	// Restoring is the snapshot that is being restored, or the restore of which has
	// not finished.
	Restoring string `json:"restoring,omitempty"`
}

// suspension remembers why a guest must not run and how it was before.
type suspension struct {
	Reasons   []string `json:"reasons"` // sorted; never empty
	Running   bool     `json:"running"`
	Autostart bool     `json:"autostart"`
	// Off says that the guest has been off since: if it is on, somebody else has
	// started it.
	Off bool `json:"off,omitempty"`
}

// lifting is how a guest is to be after its suspension.
type lifting struct {
	Running   bool `json:"running"`
	Autostart bool `json:"autostart"`
}

// newID makes a random UUID (RFC 9562, version 4).
func newID() ID {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return ID(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

func newRecord(id ID, requested, complete *Spec, now time.Time) *record {
	r := &record{
		Version: recordVersion, ID: id, Phase: creating, Created: now.UTC().Truncate(time.Second),
		Request: requestDigest(id, requested), Secrets: secretDigests(id, complete), Spec: complete.Copy(),
	}
	r.Spec.Access = Access{User: complete.Access.User}
	r.Spec.UserData = nil
	r.Spec.Native = nil
	return r
}

// requestDigest tells two Specs apart without keeping them. The ID is its key,
// so that digests of one secret differ between guests.
func requestDigest(id ID, s *Spec) string {
	kind := ""
	if s.Native != nil {
		kind = s.Native.NativeKind()
	}
	return digest(id, struct {
		Spec   *Spec
		Kind   string
		Native Native
	}{s, kind, s.Native})
}

// secretDigests covers the fields that a record must not hold.
func secretDigests(id ID, s *Spec) map[string]string {
	m := map[string]string{}
	if len(s.UserData) > 0 {
		m["userData"] = digest(id, s.UserData)
	}
	if len(s.Access.AuthorizedKeys) > 0 {
		m["access.authorizedKeys"] = digest(id, s.Access.AuthorizedKeys)
	}
	if s.Access.PasswordHash != "" {
		m["access.passwordHash"] = digest(id, s.Access.PasswordHash)
	}
	if s.Native != nil {
		m["native"] = digest(id, s.Native)
	}
	return m
}

func digest(id ID, v any) string {
	h := hmac.New(sha256.New, []byte(id))
	if err := json.NewEncoder(h).Encode(v); err != nil {
		// Only a Native that encoding/json cannot take comes here; Validate
		// has refused it.
		panic("provision: " + err.Error())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// encode returns the record as one line of printable ASCII, so that no
// hypervisor's configuration format can change it.
func (r *record) encode() (Record, error) {
	text, err := json.Marshal(r) // escapes <, > and & too
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRune(text[i:])
		switch {
		case c >= 0x10000:
			hi, lo := utf16.EncodeRune(c)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		case c >= 0x7f:
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, text[i])
		}
		i += n
	}
	return out, nil
}

// decodeRecord returns the record of a guest that is ours. A problem means that
// the guest must be left alone, and says why.
func decodeRecord(f *Found) (r *record, problem string) {
	if f.Record == nil {
		return nil, ""
	}
	var head struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(f.Record, &head); err != nil {
		return nil, "its record cannot be read"
	}
	if head.Version > recordVersion {
		return nil, fmt.Sprintf("its record has version %d, made by a newer version of this library", head.Version)
	}
	r = new(record)
	if err := json.Unmarshal(f.Record, r); err != nil {
		return nil, "its record cannot be read"
	}
	if r.ID != f.Status.ID {
		return nil, fmt.Sprintf("it carries the record of guest %s: a copy made by other means", r.ID)
	}
	if r.Phase != complete && r.Phase != creating && r.Phase != deleting {
		return nil, fmt.Sprintf("its record has the phase %q, made by a newer version of this library", r.Phase)
	}
	if r.Suspended != nil && len(r.Suspended.Reasons) == 0 {
		r.Suspended = nil
	}
	return r, ""
}

// guestOf adds what the record says to what the backend found.
func (h *Host) guestOf(f Found) (Status, *record) {
	st := f.Status
	r, problem := decodeRecord(&f)
	if r == nil {
		st.Managed = false
		if problem != "" {
			st.Reason = strings.TrimPrefix(st.Reason+"; "+problem, "; ")
		}
		return st, nil
	}
	st.Managed = true
	st.Key, st.Image, st.Created = r.Spec.Key, r.Spec.Image, r.Created
	st.Labels = r.Spec.Labels
	st.Addresses = addresses(r, st.Addresses)
	st.Limits = nicLimits(&st, r)
	st.Limits = tellGone(&st, slices.Concat(readBack(&st, r), compared(st.Limits, &r.Spec), untold(st.Limits, h.defaultLimits(&r.Spec)...)))
	st.Limits = tellResized(&st, r, st.Limits)
	if r.Suspended != nil {
		st.Suspended = slices.Clone(r.Suspended.Reasons)
	}
	for _, why := range []string{breach(&st, r), halfRestored(r)} {
		if why != "" {
			st.Reason = strings.TrimPrefix(st.Reason+"; "+why, "; ")
		}
	}
	switch r.Phase {
	case creating:
		st.State, st.Reason = StateIncomplete, "its create did not finish"
	case deleting:
		st.State, st.Reason = StateIncomplete, "its delete did not finish"
	}
	return st, r
}
