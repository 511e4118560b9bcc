package hostnet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// answerTimeout is for a kernel that does not answer, as when another program holds
// its lock of network devices.
const answerTimeout = 5 * time.Second

// interrupted is how often a list is asked for again that changed while it was read;
// the last one is taken as it is.
const interrupted = 3

// errEnough ends a dump early; nothing more can be asked on that connection.
var errEnough = errors.New("enough")

// conn asks the kernel about one network namespace: that of the thread that made it.
type conn struct {
	s    *nl.NetlinkSocket
	stop func() bool
}

// dial returns a connection that ends with the context.
func dial(ctx context.Context, protocol int) (*conn, error) {
	s, err := nl.Subscribe(protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	timeout := unix.NsecToTimeval(answerTimeout.Nanoseconds())
	if err := errors.Join(s.SetSendTimeout(&timeout), s.SetReceiveTimeout(&timeout)); err != nil {
		s.Close()
		return nil, err
	}
	return &conn{s: s, stop: context.AfterFunc(ctx, s.Close)}, nil
}

func (c *conn) close() {
	if c.stop() {
		c.s.Close()
	}
}

// dump calls begin and then each for every message of the list, and all of it again
// where the list changed meanwhile.
func (c *conn) dump(ctx context.Context, kind int, body []nl.NetlinkRequestData, begin func(), each func([]byte) error) error {
	for try := 1; ; try++ {
		req := nl.NewNetlinkRequest(kind, unix.NLM_F_DUMP)
		for _, b := range body {
			req.AddData(b)
		}
		begin()
		changed, err := c.list(req, each)
		switch {
		case ctx.Err() != nil:
			return ctxerr.Of(ctx)
		case err != nil && !errors.Is(err, errEnough):
			return fmt.Errorf("netlink request %d: %w", kind, err)
		case err != nil || !changed || try == interrupted:
			return err
		}
	}
}

// list reads the answer of one request.
func (c *conn) list(req *nl.NetlinkRequest, each func([]byte) error) (changed bool, err error) {
	if err := c.s.Send(req); err != nil {
		return false, err
	}
	for {
		msgs, from, err := c.s.Receive()
		if err != nil {
			return false, err
		}
		if from.Pid != nl.PidKernel {
			continue
		}
		for _, m := range msgs {
			changed = changed || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
			switch {
			case m.Header.Seq != req.Seq:
			case m.Header.Type == unix.NLMSG_DONE || m.Header.Type == unix.NLMSG_ERROR:
				return changed, failure(m.Data)
			default:
				if err := each(m.Data); err != nil {
					return false, err
				}
			}
		}
	}
}

// failure is the number that ends an answer (netlink(7)).
func failure(data []byte) error {
	if len(data) < 4 {
		return nil
	}
	if no := int32(binary.NativeEndian.Uint32(data)); no < 0 {
		return syscall.Errno(-no)
	}
	return nil
}

const typeMask = 0x3fff // NLA_TYPE_MASK of linux/netlink.h

// attributes of a message, after the structure that it begins with.
func attributes(msg []byte, head int) (map[uint16][]byte, error) {
	if len(msg) < head {
		return nil, fmt.Errorf("a message of %d bytes is too short", len(msg))
	}
	list, err := parseAttributes(msg[head:])
	if err != nil {
		return nil, err
	}
	all := make(map[uint16][]byte, len(list))
	for _, a := range list {
		all[a.Attr.Type&typeMask] = a.Value
	}
	return all, nil
}

// parseAttributes adds the padding that the last one may lack, at which the library
// panics.
func parseAttributes(b []byte) ([]syscall.NetlinkRouteAttr, error) {
	if odd := len(b) % unix.NLA_ALIGNTO; odd != 0 {
		b = append(slices.Clip(b), make([]byte, unix.NLA_ALIGNTO-odd)...)
	}
	return nl.ParseRouteAttr(b)
}

// Numbers of attributes; 0 where one is missing or short.
func number8(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

func number32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

func number64(b []byte, i int) uint64 {
	if len(b) < 8*i+8 {
		return 0
	}
	return binary.NativeEndian.Uint64(b[8*i:])
}
