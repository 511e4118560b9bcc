package provision

import "time"

// EventType says what happened.
type EventType string

// Types of events. EventReady comes first: from there on nothing is missed
// without an EventLost.
const (
	EventReady   EventType = "ready"
	EventCreated EventType = "created"
	EventDeleted EventType = "deleted"
	EventState   EventType = "state"   // the state changed
	EventChanged EventType = "changed" // the record or configuration changed
	EventLost    EventType = "lost"    // Count events were dropped: list again
)

// Event is a change of a guest that was seen. Events are hints that come soon;
// [Guest.Status] is the truth.
type Event struct {
	Type   EventType `json:"type"`
	Name   string    `json:"name,omitempty"`
	ID     ID        `json:"id,omitempty"`
	State  State     `json:"state,omitempty"` // after the change
	Reason string    `json:"reason,omitempty"`
	Count  int       `json:"count,omitempty"` // of EventLost
	Time   time.Time `json:"time"`            // when it was seen
}
