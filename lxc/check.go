package lxc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/ctxerr"
	"github.com/guestforge/provision/internal/hostfs"
	"github.com/guestforge/provision/internal/mountinfo"
)

// machine is what Check looks at. The zero value of a field that tells of guests
// means that there are none.
type machine struct {
	files   fs.FS               // the root directory
	try     prober              // what files do not tell
	path    string              // LXCPATH, absolute and clean
	start   string              // path of lxc-start
	attach  string              // path of lxc-attach
	liblxc  string              // version of the library that is loaded; "" without cgo
	ids     idRange             // what the blocks of guests are taken from
	blocks  int                 // how many blocks guests have
	guests  map[string]bool     // by ID, of all that are recorded
	names   map[string]bool     // by name: the directories of guests below path
	bridges map[string][]string // names of guests by the bridge that they are plugged into
}

// idRange is a range of user or group IDs of the machine.
type idRange struct{ first, count uint64 }

// errUntried is in the error of a trial that could not be made. Any other error
// says that the kernel was asked, and refused.
var errUntried = errors.New("not tried")

// prober makes the trials. None leaves anything behind, changes the machine, or
// has the kernel load a module that [kernel.mayTry] has not found.
type prober interface {
	overlay(dir string) error                               // files of guests over those of an image
	idmap(ctx context.Context, dir string, r idRange) error // mount_setattr(2) with an ID map on a copy of the mount
	idmappedOverlay(ctx context.Context, dir string, r idRange) error
	reflink(dir string) error                                                // ioctl_ficlone(2)
	projectQuota(dir string) (enforced bool, err error)                      // quotactl_fd(2)
	space(dir string) (space, error)                                         // statfs(2)
	link(ctx context.Context, ip, kind string) error                         // in a network namespace of its own
	synced() (bool, error)                                                   // adjtimex(2)
	owner(fs.FileInfo) (uid uint32, err error)                               // of a file
	output(ctx context.Context, path string, args ...string) (string, error) // of a command that only reads
}

// space is what a file system has, in bytes and inodes. Some have no fixed
// number of inodes: then there are 0.
type space struct{ bytes, freeBytes, inodes, freeInodes uint64 }

// examination is one Check under way, with what several parts of it read.
type examination struct {
	*machine
	kernel kernel
	mounts []mountinfo.Mount
	groups cgroups
}

// checks are the parts of Check, in the order of its findings. What each finds has
// names of its own.
var checks = []func(*examination, context.Context) []provision.Finding{
	(*examination).release,
	(*examination).library,
	(*examination).namespaces,
	(*examination).namespaceLimits,
	(*examination).mapTools,
	(*examination).subordinate,
	(*examination).controlGroups,
	(*examination).controllers,
	(*examination).delegation,
	(*examination).swap,
	(*examination).directory,
	(*examination).room,
	(*examination).roots,
	(*examination).quota,
	(*examination).confinement,
	(*examination).links,
	(*examination).bridgesOfGuests,
	(*examination).forwarding,
	(*examination).filters,
	(*examination).tools,
	(*examination).boot,
	(*examination).tunables,
	(*examination).usage,
	(*examination).clock,
	(*examination).leftovers,
	(*examination).checkpoints,
}

// longest time that all trials together may take.
const examinationTime = 30 * time.Second

// examine looks at the machine. The error is that of ctx alone: what cannot be
// looked at is a finding.
func examine(ctx context.Context, m *machine) ([]provision.Finding, error) {
	trials, cancel := context.WithTimeout(ctx, examinationTime)
	defer cancel()
	e := &examination{machine: m}
	e.kernel = readKernel(m)
	e.mounts, _ = mountinfo.Parse(m.raw("proc/self/mountinfo")) // nil: not known
	e.groups = findCgroups(m, e.mounts)
	var list []provision.Finding
	for _, c := range checks {
		if err := ctxerr.Of(ctx); err != nil {
			return nil, err
		}
		list = append(list, c(e, trials)...)
	}
	return list, nil
}

// has is a finding of what is as it should be.
func has(check, message, evidence string) provision.Finding {
	return provision.Finding{Check: check, Severity: provision.SeverityInfo, Message: message, Evidence: evidence}
}

// lacks is a finding of what is missing or wrong.
func lacks(check string, s provision.Severity, message, evidence, remedy string) provision.Finding {
	return provision.Finding{Check: check, Severity: s, Message: message, Evidence: evidence, Remedy: remedy}
}

// unknown is a finding of what could not be found out: never as good as to have it,
// and never an error, as it may be there. S is the severity of its absence.
func unknown(check string, s provision.Severity, question, evidence, remedy string) provision.Finding {
	if s == provision.SeverityError {
		s = provision.SeverityWarning
	}
	return provision.Finding{Check: check, Severity: s, Message: "it is not known whether " + question, Evidence: evidence, Remedy: remedy}
}

// judged is the finding for what a trial said.
func judged(check string, s provision.Severity, err error, good, bad, remedy string) provision.Finding {
	switch {
	case err == nil:
		return has(check, good, "tried")
	case isUntried(err):
		return unknown(check, s, good, oneLine(err.Error()), "run check as root, when there is the directory of guests")
	}
	return lacks(check, s, bad, oneLine(err.Error()), remedy)
}

// raw returns what is in a file, and nothing where it is not there or cannot be
// read.
func (m *machine) raw(path string) []byte { return hostfs.Read(m.files, path) }

// text is raw without white space around it.
func (m *machine) text(path string) string { return hostfs.Text(m.files, path) }

// there says whether there is a file of that name. One that cannot be looked at is
// not there.
func (m *machine) there(path string) bool {
	_, err := fs.Stat(m.files, path)
	return err == nil
}

// isUntried says whether an error tells nothing of the machine.
func isUntried(err error) bool {
	return errors.Is(err, errUntried) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// find returns the path of a program, or "". Nothing is read of the environment: it
// may be that of a service, without sbin.
func (m *machine) find(program string) string {
	for _, dir := range []string{"usr/local/sbin/", "usr/local/bin/", "usr/sbin/", "usr/bin/", "sbin/", "bin/"} {
		if info, err := fs.Stat(m.files, dir+program); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return "/" + dir + program
		}
	}
	return ""
}

// inside makes an absolute path one of an fs.FS.
func inside(path string) string {
	if path = strings.Trim(path, "/"); path != "" {
		return path
	}
	return "."
}

// some joins the first of many names.
func some(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// oneLine makes the text of a command evidence: one line, and no dump.
func oneLine(s string) string {
	const most = 300
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
