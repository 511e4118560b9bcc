package hostnet

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Numbers that golang.org/x/sys does not have (linux/netfilter/nf_tables.h).
const (
	hookDevices = 4 // NFTA_HOOK_DEVS
	listElement = 1 // NFTA_LIST_ELEM
	nfDrop      = 0 // of linux/netfilter.h
	nfAccept    = 1
)

const nfgenSize = 4 // of struct nfgenmsg

// ruleset asks for our tables of the family netdev. The command nft is not used: for
// 200 guests it took 37 seconds here, as it asks for each table and each set apart.
func (c *conn) ruleset(ctx context.Context, device func(index int) string) (ruleset, error) {
	rs := ruleset{}
	for _, q := range []struct {
		kind int
		add  func([]byte) error
	}{
		{unix.NFT_MSG_GETTABLE, rs.addTable},
		{unix.NFT_MSG_GETCHAIN, rs.addChain},
		{unix.NFT_MSG_GETRULE, func(msg []byte) error { return rs.addRule(msg, device) }},
	} {
		var msgs [][]byte
		body := []nl.NetlinkRequestData{&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_NETDEV}}
		err := c.dump(ctx, unix.NFNL_SUBSYS_NFTABLES<<8|q.kind, body, func() { msgs = nil }, func(msg []byte) error {
			msgs = append(msgs, msg)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, msg := range msgs {
			if err := q.add(msg); err != nil {
				return nil, fmt.Errorf("answer of nf_tables: %w", err)
			}
		}
	}
	return rs, nil
}

func (rs ruleset) addTable(msg []byte) error {
	all, err := attributes(msg, nfgenSize)
	if name := unix.ByteSliceToString(all[unix.NFTA_TABLE_NAME]); ourTable.MatchString(name) {
		rs[name] = table{}
	}
	return err
}

// addChain passes over the chains of tables that are not ours, or came meanwhile.
func (rs ruleset) addChain(msg []byte) error {
	all, err := attributes(msg, nfgenSize)
	if err != nil {
		return err
	}
	t := rs[unix.ByteSliceToString(all[unix.NFTA_CHAIN_TABLE])]
	if t == nil {
		return nil
	}
	hook, err := attributes(all[unix.NFTA_CHAIN_HOOK], 0)
	if err != nil {
		return err
	}
	number, priority, policy := hook[unix.NFTA_HOOK_HOOKNUM], hook[unix.NFTA_HOOK_PRIORITY], all[unix.NFTA_CHAIN_POLICY]
	c := &filterChain{
		atIngress: unix.ByteSliceToString(all[unix.NFTA_CHAIN_TYPE]) == "filter" && isNumber(number, unix.NF_NETDEV_INGRESS) && isNumber(priority, 0),
		drops:     isNumber(policy, nfDrop),
	}
	devices, err := parseAttributes(hook[hookDevices])
	for _, d := range devices {
		c.devices = append(c.devices, unix.ByteSliceToString(d.Value))
	}
	if one := hook[unix.NFTA_HOOK_DEV]; one != nil && c.devices == nil {
		c.devices = []string{unix.ByteSliceToString(one)}
	}
	t[unix.ByteSliceToString(all[unix.NFTA_CHAIN_NAME])] = c
	return err
}

// isNumber compares with a number of nf_tables, where there is one.
func isNumber(b []byte, want uint32) bool {
	return len(b) == 4 && binary.BigEndian.Uint32(b) == want
}

func (rs ruleset) addRule(msg []byte, device func(int) string) error {
	all, err := attributes(msg, nfgenSize)
	if err != nil {
		return err
	}
	c := rs[unix.ByteSliceToString(all[unix.NFTA_RULE_TABLE])][unix.ByteSliceToString(all[unix.NFTA_RULE_CHAIN])]
	if c == nil {
		return nil
	}
	verdict, err := parseVerdict(all[unix.NFTA_RULE_EXPRESSIONS], device)
	c.rules = append(c.rules, ruleKey(verdict, comment(all[unix.NFTA_RULE_USERDATA])))
	return err
}

// comment is the text with type 0 of nft's own data (libnftnl/udata.h).
func comment(data []byte) string {
	for len(data) >= 2 && len(data) >= 2+int(data[1]) {
		if data[0] == 0 {
			return unix.ByteSliceToString(data[2 : 2+data[1]])
		}
		data = data[2+data[1]:]
	}
	return ""
}

// parseVerdict is what a rule does at its end, in the words of nft; "" for what is
// none of ours. The device that fwd sends to was loaded just before.
func parseVerdict(raw []byte, device func(int) string) (string, error) {
	list, err := parseAttributes(raw)
	if err != nil {
		return "", err
	}
	var value, verdict []byte
	name := ""
	for _, e := range list {
		expr, err := attributes(e.Value, 0)
		if err != nil || e.Attr.Type&typeMask != listElement {
			return "", err
		}
		if name = unix.ByteSliceToString(expr[unix.NFTA_EXPR_NAME]); name != "immediate" {
			continue
		}
		immediate, err := attributes(expr[unix.NFTA_EXPR_DATA], 0)
		if err != nil {
			return "", err
		}
		data, err := attributes(immediate[unix.NFTA_IMMEDIATE_DATA], 0)
		if err != nil {
			return "", err
		}
		value, verdict = data[unix.NFTA_DATA_VALUE], data[unix.NFTA_DATA_VERDICT]
	}
	switch name {
	case "fwd":
		return `fwd to "` + device(int(number32(value))) + `"`, nil
	case "immediate":
		code, err := attributes(verdict, 0)
		switch {
		case isNumber(code[unix.NFTA_VERDICT_CODE], nfAccept):
			return "accept", err
		case isNumber(code[unix.NFTA_VERDICT_CODE], nfDrop):
			return "drop", err
		}
		return "", err
	}
	return "", nil
}
