package lxc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/guestforge/provision"
)

// bridgesOfGuests looks for those that guests are plugged into.
func (e *examination) bridgesOfGuests(context.Context) []provision.Finding {
	const check = "bridges"
	var list []provision.Finding
	var good []string
	for _, name := range slices.Sorted(maps.Keys(e.bridges)) {
		guests := slices.Sorted(slices.Values(e.bridges[name]))
		dir := "sys/class/net/" + name
		flags, err := strconv.ParseUint(e.text(dir+"/flags"), 0, 32)
		switch {
		case !e.there("sys/class/net"):
			list = append(list, unknown(check, fails, "there is the bridge "+name, "there is no /sys/class/net", "mount /sys"))
		case !e.there(dir):
			list = append(list, lacks(check, fails, "there is no bridge "+name+", and guests that have it do not start", some(guests), "make the bridge, in the network configuration of the host"))
		case !e.there(dir + "/bridge"):
			list = append(list, lacks(check, fails, name+" is no bridge, and guests that have it do not start", some(guests), "make a bridge of this name"))
		case err != nil || flags&1 == 0: // IFF_UP (netdevice(7))
			list = append(list, lacks(check, cautions, "the bridge "+name+" is down", some(guests), "ip link set "+name+" up, and the same in the network configuration of the host"))
		default:
			good = append(good, fmt.Sprintf("%s (%d guests)", name, len(guests)))
		}
	}
	switch {
	case good != nil:
		list = append(list, has(check, "bridges of guests are there", some(good)))
	case len(e.bridges) == 0:
		list = append(list, has(check, "no guest has a bridge", ""))
	}
	return list
}

// forwarding: where br_netfilter is on, frames between guests of one bridge go
// through the chain FORWARD, which Docker closes (docker/for-linux issue 103).
func (e *examination) forwarding(ctx context.Context) []provision.Finding {
	const check = "forwarding"
	filtered := e.text("proc/sys/net/bridge/bridge-nf-call-iptables") == "1"
	seen := "net.ipv4.ip_forward=" + e.text("proc/sys/net/ipv4/ip_forward")
	if filtered {
		seen += ", net.bridge.bridge-nf-call-iptables=1"
	}
	closed, docker, err := e.closedChains(ctx)
	if err != nil {
		s := informs
		if filtered {
			s = cautions
		}
		return []provision.Finding{unknown(check, s, "the firewall lets frames of guests pass", seen+"; "+oneLine(err.Error()), "nft list ruleset")}
	}
	if closed == nil {
		return []provision.Finding{has(check, "the firewall has no closed chain for what is forwarded", seen)}
	}
	seen += "; " + some(closed)
	remedy := "let the bridges of guests pass in " + closed[0]
	if docker {
		remedy = "iptables -I DOCKER-USER -i BRIDGE -o BRIDGE -j ACCEPT"
	}
	if filtered {
		return []provision.Finding{lacks(check, cautions, "the firewall drops frames between guests of one bridge, unless a rule lets them pass", seen,
			remedy+"; or sysctl -w net.bridge.bridge-nf-call-iptables=0")}
	}
	return []provision.Finding{lacks(check, informs, "the firewall drops what this machine routes for guests, unless a rule lets it pass", seen, remedy)}
}

// closedChains names the base chains of the hook forward whose policy is to drop. Tables
// of the old iptables are asked for only if there are some, as the question makes them.
func (e *examination) closedChains(ctx context.Context) (closed []string, docker bool, err error) {
	var known bool
	if nft := e.find("nft"); nft != "" && e.usable("CONFIG_NF_TABLES", "nf_tables") {
		text, err := e.try.output(ctx, nft, "-j", "list", "chains")
		if err != nil {
			return nil, false, err
		}
		if closed, docker, err = parseChains([]byte(text)); err != nil {
			return nil, false, fmt.Errorf("nft -j list chains: %w", err)
		}
		known = true
	}
	for _, t := range []struct{ names, tool, family string }{{"ip_tables_names", "iptables-legacy", "IPv4"}, {"ip6_tables_names", "ip6tables-legacy", "IPv6"}} {
		tables, err := fs.ReadFile(e.files, "proc/net/"+t.names)
		if errors.Is(err, fs.ErrPermission) {
			return nil, false, err
		}
		if !slices.Contains(strings.Fields(string(tables)), "filter") {
			continue
		}
		tool := e.find(t.tool)
		if tool == "" { // before there was another kind
			tool = e.find(strings.TrimSuffix(t.tool, "-legacy"))
		}
		if tool == "" {
			return nil, false, fmt.Errorf("there is a table filter of iptables, and no %s", t.tool)
		}
		text, err := e.try.output(ctx, tool, "-S")
		if err != nil {
			return nil, false, err
		}
		known = true
		if strings.Contains("\n"+text, "\n-P FORWARD DROP") {
			closed = append(closed, "iptables FORWARD of "+t.family)
		}
		docker = docker || strings.Contains(text, "-N DOCKER-USER")
	}
	if v, seen := e.option("CONFIG_NF_TABLES", "nf_tables"); !known && (v == present || v == notKnown) {
		return nil, false, errors.New("nft was not asked; " + seen)
	}
	return closed, docker, nil
}

// usable says whether the kernel has something now, or at least is not known to have
// it not, and asking loads nothing.
func (e *examination) usable(option, module string) bool {
	v, _ := e.option(option, module)
	return v == present || v == notKnown && !e.there("proc/modules")
}

// parseChains reads what nft -j list chains prints (libnftables-json(5)).
func parseChains(text []byte) (closed []string, docker bool, err error) {
	var all struct {
		Nftables []struct {
			Chain *struct{ Family, Table, Name, Hook, Policy string }
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, false, err
	}
	for _, o := range all.Nftables {
		c := o.Chain
		switch {
		case c == nil:
		case c.Name == "DOCKER-USER":
			docker = true
		case c.Hook == "forward" && c.Policy == "drop" && slices.Contains([]string{"ip", "ip6", "inet", "bridge"}, c.Family):
			closed = append(closed, oneLine(fmt.Sprintf("%s %s %s", c.Family, c.Table, c.Name)))
		}
	}
	return closed, docker, nil
}
