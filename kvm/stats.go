package kvm

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/digitalocean/go-libvirt"
)

// REMOTE_PROC_CONNECT_GET_ALL_DOMAIN_STATS of libvirt's remote protocol.
const (
	remoteProgram = 0x20008086
	procAllStats  = 344
)

// packStats puts the body of a reply to ConnectGetAllDomainStats into another
// one, as the name of a single domain without statistics. The RPC library makes
// some allocations, by reflection, for each of the fifty numbers that a guest has:
// for a thousand guests that is a tenth of a second, many times what the rest of
// the call takes. So it gets to see one long string, and allStats reads what
// is in it.
func packStats(body []byte) []byte {
	pad := -len(body) & 3
	p := make([]byte, 0, 4+4+len(body)+pad+16+4+4)
	p = binary.BigEndian.AppendUint32(p, 1)
	p = binary.BigEndian.AppendUint32(p, uint32(len(body)))
	p = append(p, body...)
	return append(p, make([]byte, pad+16+4+4)...) // UUID, ID, no statistics
}

// stat is one number or text.
type stat struct {
	field string
	num   uint64 // of all kinds of integers; negative ones wrap
	text  string
}

// allStats asks for statistics of some domains, or of all if there are none in
// doms, and calls each for one after the other. Neither the domain's name nor
// what is in stats may be kept: they are parts of one large string, and stats is
// used again.
func allStats(l *libvirt.Libvirt, doms []libvirt.Domain, groups libvirt.DomainStatsTypes, flags libvirt.ConnectGetAllDomainStatsFlags,
	each func(d libvirt.Domain, stats []stat)) error {
	packed, err := l.ConnectGetAllDomainStats(doms, uint32(groups), uint32(flags))
	if err != nil {
		return err
	}
	if len(packed) != 1 || len(packed[0].Params) != 0 {
		return errBadStats
	}
	return unpackStats(packed[0].Dom.Name, each)
}

var errBadStats = errors.New("libvirtd's reply with statistics cannot be understood")

// unpackStats reads the reply: a remote_domain_stats_record<>, in XDR.
func unpackStats(body string, each func(d libvirt.Domain, stats []stat)) error {
	r := xdrReader{rest: body}
	var stats []stat
	for range r.count() {
		var d libvirt.Domain
		d.Name = r.string()
		copy(d.UUID[:], r.take(len(d.UUID)))
		d.ID = int32(r.uint32())
		stats = stats[:0]
		for range r.count() {
			stats = append(stats, r.stat())
			if r.bad {
				return errBadStats
			}
		}
		if r.bad {
			return errBadStats
		}
		each(d, stats)
	}
	if r.bad || r.rest != "" {
		return errBadStats
	}
	return nil
}

// xdrReader reads XDR (RFC 4506). It goes on with zeros after the first mistake, which
// sets bad.
type xdrReader struct {
	rest string
	bad  bool
}

func (r *xdrReader) take(n int) string {
	if n < 0 || n > len(r.rest) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *xdrReader) uint32() uint32 {
	s := r.take(4)
	if r.bad {
		return 0
	}
	return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
}

func (r *xdrReader) uint64() uint64 {
	high := r.uint32()
	return uint64(high)<<32 | uint64(r.uint32())
}

// count is the length of an array. None has more elements than bytes.
func (r *xdrReader) count() int {
	n := r.uint32()
	if int64(n) > int64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return 0
	}
	return int(n)
}

func (r *xdrReader) string() string {
	n := r.count()
	s := r.take(n)
	r.take(-n & 3)
	return s
}

// stat reads a typed parameter: its name, the number of its type, which is
// virTypedParameterType, and the value.
func (r *xdrReader) stat() stat {
	s := stat{field: r.string()}
	switch r.uint32() {
	case 1: // int
		s.num = uint64(int64(int32(r.uint32())))
	case 2, 6: // unsigned int, bool
		s.num = uint64(r.uint32())
	case 3, 4, 5: // long long, unsigned, double
		s.num = r.uint64()
	case 7:
		s.text = r.string()
	default:
		r.bad = true
	}
	return s
}

// indexed takes a field like "block.3.rd.bytes" apart, after "block.".
func indexed(field string) (i int, rest string, ok bool) {
	number, rest, ok := strings.Cut(field, ".")
	if !ok || number == "" || len(number) > 4 {
		return 0, "", false
	}
	for _, c := range []byte(number) {
		if c < '0' || c > '9' {
			return 0, "", false
		}
		i = 10*i + int(c-'0')
	}
	return i, rest, true
}
