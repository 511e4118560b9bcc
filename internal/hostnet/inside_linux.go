package hostnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Tenants make as many devices and addresses as they like; so many are read of one.
const (
	maxLinks = 64
	maxAddrs = 512
)

// Look reads the network of guests from inside of their namespaces, without a process
// for each: one thread visits them all. The answers are in the order of the question.
// The error is that of the context, or that there is no thread.
func Look(ctx context.Context, inits []Init) ([]Inside, error) {
	answers := make([]Inside, len(inits))
	err := onOwnThread(func() error {
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer own.Close()
		for i, init := range inits {
			if ctx.Err() != nil {
				return ctxerr.Of(ctx)
			}
			if err := answers[i].read(ctx, init, own); err != nil {
				answers[i] = Inside{Err: fmt.Errorf("network of process %d: %w", init.PID, err)}
			}
		}
		return ctxerr.Of(ctx)
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func (in *Inside) read(ctx context.Context, init Init, own *os.File) error {
	ns, err := openNamespace(init, own)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("setns", err)
	}
	links, more, err := ask(ctx, func(c *conn) ([]Link, bool, error) { return c.links(ctx, maxLinks) })
	if err != nil {
		return err
	}
	addrs, evenMore, err := ask(ctx, func(c *conn) ([]indexed, bool, error) { return c.addresses(ctx, maxAddrs) })
	if err != nil {
		return err
	}
	in.Truncated = more || evenMore
	for _, l := range links {
		if l.Loopback {
			continue
		}
		nic := Interface{Link: l}
		for _, a := range addrs {
			if a.index == l.Index {
				nic.Addresses = append(nic.Addresses, a.Address)
			}
		}
		in.Interfaces = append(in.Interfaces, nic)
	}
	return nil
}

// ask makes a connection for one question, which may end early.
func ask[T any](ctx context.Context, question func(*conn) ([]T, bool, error)) ([]T, bool, error) {
	c, err := dial(ctx, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, false, err
	}
	defer c.close()
	return question(c)
}

// nsType is the ioctl that says of which type a namespace is (ioctl_nsfs(2)).
const nsType = 0xb703

// openNamespace returns the network namespace of a process. Once it is open it stays
// what it is, whatever becomes of the process: so the start time is looked at after.
func openNamespace(init Init, own *os.File) (*os.File, error) {
	dir := "/proc/" + strconv.Itoa(init.PID)
	ns, err := os.Open(dir + "/ns/net")
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, err
	}
	if err := checkNamespace(ns, own); err != nil {
		ns.Close()
		return nil, err
	}
	if init.Started != 0 {
		started, err := startTime(dir + "/stat")
		if err != nil || started != init.Started {
			ns.Close()
			return nil, errors.Join(ErrGone, err)
		}
	}
	return ns, nil
}

func checkNamespace(ns, own *os.File) error {
	if kind, err := unix.IoctlRetInt(int(ns.Fd()), nsType); err != nil || kind != unix.CLONE_NEWNET {
		return fmt.Errorf("%s is not a network namespace (type %#x)", ns.Name(), kind)
	}
	a, err := ns.Stat()
	if err != nil {
		return err
	}
	b, err := own.Stat()
	if err != nil {
		return err
	}
	if os.SameFile(a, b) {
		return ErrNotInside
	}
	return nil
}

// startTime is the 20th field after the name, which is in parentheses and may contain
// anything (proc(5)).
func startTime(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("%s has %d fields", path, len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

// indexed is an address, with the index of its device.
type indexed struct {
	Address
	index int
}

func (c *conn) addresses(ctx context.Context, most int) (list []indexed, more bool, err error) {
	body := []nl.NetlinkRequestData{nl.NewIfAddrmsg(unix.AF_UNSPEC)}
	err = c.dump(ctx, unix.RTM_GETADDR, body, func() { list = nil }, func(msg []byte) error {
		if len(list) == most {
			return errEnough
		}
		a, err := parseAddress(msg)
		if a.Prefix.IsValid() {
			list = append(list, a)
		}
		return err
	})
	if errors.Is(err, errEnough) {
		return list, true, nil
	}
	return list, false, err
}

// parseAddress: the address itself is in IFA_LOCAL, and in IFA_ADDRESS only where
// there is none; the flags of one byte are the low ones of IFA_FLAGS (rtnetlink(7)).
func parseAddress(msg []byte) (indexed, error) {
	all, err := attributes(msg, unix.SizeofIfAddrmsg)
	if err != nil {
		return indexed{}, err
	}
	head := nl.DeserializeIfAddrmsg(msg)
	raw := all[unix.IFA_LOCAL]
	if raw == nil {
		raw = all[unix.IFA_ADDRESS]
	}
	addr, _ := netip.AddrFromSlice(raw) // not valid where it is of another family
	flags := uint32(head.Flags)
	if wide := all[unix.IFA_FLAGS]; wide != nil {
		flags = number32(wide)
	}
	a := indexed{index: int(head.Index)}
	a.Prefix = netip.PrefixFrom(addr, int(head.Prefixlen))
	a.LinkLocal = addr.IsLinkLocalUnicast()
	a.Tentative = flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && flags&unix.IFA_F_OPTIMISTIC == 0
	return a, nil
}
