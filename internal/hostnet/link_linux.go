package hostnet

import (
	"context"
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// links lists the devices of the connection's namespace, up to a number of them.
func (c *conn) links(ctx context.Context, most int) (list []Link, more bool, err error) {
	body := []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC)}
	err = c.dump(ctx, unix.RTM_GETLINK, body, func() { list = nil }, func(msg []byte) error {
		if len(list) == most {
			return errEnough
		}
		l, err := parseLink(msg)
		list = append(list, l)
		return err
	})
	if errors.Is(err, errEnough) {
		return list, true, nil
	}
	return list, false, err
}

// parseLink reads what the message has; rtnetlink(7), linux/if_link.h.
func parseLink(msg []byte) (Link, error) {
	all, err := attributes(msg, unix.SizeofIfInfomsg)
	if err != nil {
		return Link{}, err
	}
	info := nl.DeserializeIfInfomsg(msg)
	l := Link{
		Index:    int(info.Index),
		Name:     unix.ByteSliceToString(all[unix.IFLA_IFNAME]),
		MTU:      int(number32(all[unix.IFLA_MTU])),
		Up:       info.Flags&unix.IFF_UP != 0,
		Loopback: info.Flags&unix.IFF_LOOPBACK != 0,
		Master:   int(number32(all[unix.IFLA_MASTER])),
		Counters: parseCounters(all[unix.IFLA_STATS64]),
	}
	if mac := all[unix.IFLA_ADDRESS]; len(mac) == len(l.MAC) {
		l.MAC = [6]byte(mac)
	}
	if raw := all[unix.IFLA_LINKINFO]; raw != nil {
		err = l.parseInfo(raw)
	}
	return l, err
}

func (l *Link) parseInfo(raw []byte) error {
	info, err := attributes(raw, 0)
	if err != nil {
		return err
	}
	l.Kind = unix.ByteSliceToString(info[nl.IFLA_INFO_KIND])
	if l.Kind == "bridge" {
		own, err := attributes(info[nl.IFLA_INFO_DATA], 0)
		if err != nil {
			return err
		}
		l.VLANFiltering = number8(own[nl.IFLA_BR_VLAN_FILTERING]) != 0
	}
	if unix.ByteSliceToString(info[nl.IFLA_INFO_SLAVE_KIND]) == "bridge" {
		port, err := attributes(info[nl.IFLA_INFO_SLAVE_DATA], 0)
		if err != nil {
			return err
		}
		l.Isolated = number8(port[nl.IFLA_BRPORT_ISOLATED]) != 0
	}
	return nil
}

// parseCounters reads a struct rtnl_link_stats64.
func parseCounters(b []byte) Counters {
	return Counters{
		RxPackets: number64(b, 0), TxPackets: number64(b, 1),
		RxBytes: number64(b, 2), TxBytes: number64(b, 3),
		RxErrors: number64(b, 4), TxErrors: number64(b, 5),
		RxDropped: number64(b, 6), TxDropped: number64(b, 7),
	}
}

// rates lists the root tbf queues: bytes per second, by the device's index.
func (c *conn) rates(ctx context.Context) (map[int]uint64, error) {
	rates := map[int]uint64{}
	body := []nl.NetlinkRequestData{&nl.TcMsg{Family: unix.AF_UNSPEC}}
	err := c.dump(ctx, unix.RTM_GETQDISC, body, func() { clear(rates) }, func(msg []byte) error {
		all, err := attributes(msg, nl.SizeofTcMsg)
		if err != nil {
			return err
		}
		tc := nl.DeserializeTcMsg(msg)
		if tc.Parent != rootQueue || unix.ByteSliceToString(all[nl.TCA_KIND]) != "tbf" {
			return nil
		}
		rates[int(tc.Ifindex)], err = parseTBF(all[nl.TCA_OPTIONS])
		return err
	})
	return rates, err
}

const rootQueue = 0xffffffff // TC_H_ROOT of linux/pkt_sched.h

func parseTBF(raw []byte) (uint64, error) {
	all, err := attributes(raw, 0)
	if err != nil {
		return 0, err
	}
	if wide := all[nl.TCA_TBF_RATE64]; len(wide) == 8 {
		return number64(wide, 0), nil
	}
	if b := all[nl.TCA_TBF_PARMS]; len(b) >= nl.SizeofTcTbfQopt {
		return uint64(nl.DeserializeTcTbfQopt(b).Rate.Rate), nil
	}
	return 0, nil
}

// vlans lists those of all ports of bridges, by the device's index.
func (c *conn) vlans(ctx context.Context) (map[int][]vlan, error) {
	vlans := map[int][]vlan{}
	body := []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_BRIDGE), nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(nl.RTEXT_FILTER_BRVLAN))}
	err := c.dump(ctx, unix.RTM_GETLINK, body, func() { clear(vlans) }, func(msg []byte) error {
		all, err := attributes(msg, unix.SizeofIfInfomsg)
		if err != nil {
			return err
		}
		index := int(nl.DeserializeIfInfomsg(msg).Index)
		nested, err := parseAttributes(all[unix.IFLA_AF_SPEC])
		for _, a := range nested {
			if a.Attr.Type == nl.IFLA_BRIDGE_VLAN_INFO && len(a.Value) >= nl.SizeofBridgeVlanInfo {
				v := nl.DeserializeBridgeVlanInfo(a.Value)
				vlans[index] = append(vlans[index], vlan{int(v.Vid), v.PortVID() && v.EngressUntag()})
			}
		}
		return err
	})
	return vlans, err
}
