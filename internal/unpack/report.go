package unpack

import (
	"cmp"
	"slices"
)

// Reason why something was left out.
type Reason string

// Reasons.
const (
	SkippedDevice    Reason = "device node"
	SkippedTrusted   Reason = "attribute trusted.*"
	SkippedSecurity  Reason = "attribute security.* other than capability"
	SkippedAttribute Reason = "attribute of an unknown kind"
	SkippedOnSpecial Reason = "attribute of what is neither file nor directory"
	SkippedTextACL   Reason = "access list as text (made by tar --acls)"
	SkippedLibarch   Reason = "attribute that only libarchive knows"
	SkippedSetID     Reason = "set-id bit or capability"
)

// Skipped is what was left out for one reason.
type Skipped struct {
	Reason Reason
	Count  int
	Names  []string // of the first ten entries
}

// Report says what is in a tree. After an error it says how far the work got.
type Report struct {
	Entries     int // with hard links, implied directories and skipped ones
	Files       int // hard links are not counted again
	Directories int // with the root
	Symlinks    int
	Hardlinks   int
	Specials    int // FIFOs, and devices if they are kept
	Replaced    int // entries that a later one of the same name removed

	Bytes     int64 // sizes of all files, holes included
	DiskBytes int64 // what files and directories take on disk

	SetID     int    // files made with a set-id bit or a capability
	HighestID uint32 // the highest user or group number: it must be in the guest's block

	Skipped []Skipped // sorted by reason
}

func (r *Report) skip(reason Reason, name string) {
	i, ok := slices.BinarySearchFunc(r.Skipped, reason, func(s Skipped, r Reason) int { return cmp.Compare(s.Reason, r) })
	if !ok {
		r.Skipped = slices.Insert(r.Skipped, i, Skipped{Reason: reason})
	}
	s := &r.Skipped[i]
	s.Count++
	if len(s.Names) < maxNames {
		s.Names = append(s.Names, name)
	}
}
