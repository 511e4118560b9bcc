package kvm

import (
	"github.com/digitalocean/go-libvirt"

	"github.com/guestforge/provision"
)

// suspendedReasons are virDomainEventSuspendedDetailType in libvirt-domain.h, in
// the words of pausedReasons.
var suspendedReasons = map[libvirt.DomainEventSuspendedDetailType]string{
	libvirt.DomainEventSuspendedPaused:         "by a user",
	libvirt.DomainEventSuspendedMigrated:       "it is being migrated",
	libvirt.DomainEventSuspendedIoerror:        "a disk error",
	libvirt.DomainEventSuspendedWatchdog:       "a watchdog",
	libvirt.DomainEventSuspendedRestored:       "it was restored so",
	libvirt.DomainEventSuspendedFromSnapshot:   "a snapshot is made",
	libvirt.DomainEventSuspendedAPIError:       "the hypervisor's interface broke",
	libvirt.DomainEventSuspendedPostcopy:       "it is being migrated",
	libvirt.DomainEventSuspendedPostcopyFailed: "its migration failed half-way",
}

// stoppedReasons are virDomainEventStoppedDetailType, in those of shutoffReasons.
var stoppedReasons = map[libvirt.DomainEventStoppedDetailType]string{
	libvirt.DomainEventStoppedMigrated: "it was migrated away",
	libvirt.DomainEventStoppedSaved:    "its memory is saved",
}

// after returns how a domain is after an event, and what to tell of it. The name
// is empty where the event says nothing of a domain that was not known.
func (s seen) after(have bool, name string, event libvirt.DomainEventType, detail int32) (seen, []provision.EventType) {
	switch event {
	case libvirt.DomainEventDefined:
		return s.defined(have, name)
	case libvirt.DomainEventUndefined:
		return s.undefined(have, libvirt.DomainEventUndefinedDetailType(detail))
	}
	now := s
	now.doubtful = false
	switch event {
	case libvirt.DomainEventStarted, libvirt.DomainEventResumed:
		now.state, now.reason = provision.StateRunning, ""
	case libvirt.DomainEventSuspended:
		now.state, now.reason = provision.StatePaused, suspendedReasons[libvirt.DomainEventSuspendedDetailType(detail)]
	case libvirt.DomainEventPmsuspended:
		now.state, now.reason = provision.StatePaused, "the guest suspended itself"
	case libvirt.DomainEventShutdown:
		now.state, now.reason = provision.StateStopping, ""
	case libvirt.DomainEventCrashed:
		now.state, now.reason = provision.StateCrashed, "the guest crashed"
	case libvirt.DomainEventStopped:
		now.stopped(libvirt.DomainEventStoppedDetailType(detail))
	default: // of a newer libvirtd
		return s, nil
	}
	return s.become(now, have, name)
}

func (s *seen) stopped(detail libvirt.DomainEventStoppedDetailType) {
	s.state, s.reason = provision.StateStopped, stoppedReasons[detail]
	if detail == libvirt.DomainEventStoppedCrashed || detail == libvirt.DomainEventStoppedFailed {
		// Failed is said of a QEMU that died and of one that could not start.
		s.state, s.reason, s.doubtful = provision.StateCrashed, "its QEMU process died", true
	}
}

// become compares the states. A domain that begins to run without having been
// defined is transient: it ends with its QEMU.
func (s seen) become(now seen, have bool, name string) (seen, []provision.EventType) {
	switch {
	case !have && !now.state.Live():
		return seen{}, nil
	case !have:
		now.name, now.transient = name, true
		return now, []provision.EventType{provision.EventCreated}
	case now.state == s.state:
		return now, nil
	case now.transient && !now.state.Live():
		now.doubtful = false
		return now, []provision.EventType{provision.EventState, provision.EventDeleted}
	}
	return now, []provision.EventType{provision.EventState}
}

func (s seen) defined(have bool, name string) (seen, []provision.EventType) {
	if !have {
		return seen{name: name, state: provision.StateStopped}, []provision.EventType{provision.EventCreated}
	}
	s.name, s.transient = name, false
	return s, []provision.EventType{provision.EventChanged}
}

func (s seen) undefined(have bool, detail libvirt.DomainEventUndefinedDetailType) (seen, []provision.EventType) {
	switch {
	case !have || detail == libvirt.DomainEventUndefinedRenamed: // its new name is an event of its own
		return s, nil
	case s.state.Live():
		s.transient = true
		return s, []provision.EventType{provision.EventChanged}
	}
	return s, []provision.EventType{provision.EventDeleted}
}
