//go:build linux

package testrig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// Capture receives the frames that arrive at a network device of the rig.
type Capture struct{ fd int }

// Numbers that package syscall does not have: of a call on x86-64, and of an option.
const (
	sysSetns      = 308
	packetAuxdata = 8
)

// Capture begins to receive at the device. Close ends it.
func (l *Libvirt) Capture(device string) (*Capture, error) {
	type result struct {
		c   *Capture
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its goroutine
		c, err := l.capture(device)
		done <- result{c, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, fmt.Errorf("capturing at %s: %w", device, r.err)
	}
	return r.c, nil
}

// capture opens the socket in the rig's network namespace, to which it then
// belongs.
func (l *Libvirt) capture(device string) (*Capture, error) {
	ns, err := os.Open(procPath(l.PID, "ns/net"))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if _, _, errno := syscall.Syscall(sysSetns, ns.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return nil, errno
	}
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	const all = syscall.ETH_P_ALL<<8&0xff00 | syscall.ETH_P_ALL>>8 // in network order
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, err
	}
	c := &Capture{fd}
	size := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<20)
	tags := syscall.SetsockoptInt(fd, syscall.SOL_PACKET, packetAuxdata, 1)
	bind := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index})
	wait := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 100_000})
	if err := errors.Join(size, tags, bind, wait); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends the capture.
func (c *Capture) Close() error { return syscall.Close(c.fd) }

// auxdata is struct tpacket_auxdata.
type auxdata struct {
	status, length, snaplen uint32
	mac, net, tci, tpid     uint16
}

const vlanValid = 1 << 4 // TP_STATUS_VLAN_VALID

// Next returns the next frame that arrives, as it was on the wire: a VLAN tag that
// the kernel has taken out is put back. It waits until the deadline, and then
// fails with [os.ErrDeadlineExceeded].
func (c *Capture) Next(deadline time.Time) ([]byte, error) {
	frame, control := make([]byte, 65536), make([]byte, 256)
	for time.Now().Before(deadline) {
		n, oobn, _, from, err := syscall.Recvmsg(c.fd, frame, control, 0)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ll, ok := from.(*syscall.SockaddrLinklayer); ok && ll.Pkttype == syscall.PACKET_OUTGOING {
			continue
		}
		return retag(frame[:n], control[:oobn])
	}
	return nil, os.ErrDeadlineExceeded
}

func retag(frame, control []byte) ([]byte, error) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if m.Header.Level != syscall.SOL_PACKET || len(m.Data) < int(unsafe.Sizeof(auxdata{})) {
			continue
		}
		aux := (*auxdata)(unsafe.Pointer(&m.Data[0]))
		if aux.status&vlanValid != 0 {
			tag := []byte{byte(aux.tpid >> 8), byte(aux.tpid), byte(aux.tci >> 8), byte(aux.tci)}
			return append(append(append([]byte{}, frame[:12]...), tag...), frame[12:]...), nil
		}
	}
	return frame, nil
}
