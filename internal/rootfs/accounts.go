package rootfs

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// accounts are the four files of users and groups.
type accounts struct{ passwd, shadow, group, gshadow *table }

type user struct {
	name, home string
	uid, gid   int
}

// user returns the user of that name, and makes one that is missing.
func (acc *accounts) user(name, shell string) (*user, error) {
	_, fields, err := acc.passwd.find(name)
	if err != nil {
		return nil, err
	}
	if fields == nil {
		if fields, err = acc.newUser(name, shell); err != nil {
			return nil, err
		}
	}
	u := &user{name: name, home: fields[5]}
	if u.home == "" {
		u.home = "/" // as login(1) has it
	}
	if u.uid, err = acc.passwd.number(fields[2]); err != nil {
		return nil, err
	}
	u.gid, err = acc.passwd.number(fields[3])
	return u, err
}

// newUser adds a user with a group of its own and the first number, from 1000 on,
// that is nobody's: UID_MIN of login.defs(5).
func (acc *accounts) newUser(name, shell string) ([]string, error) {
	const first, last = 1000, 60000
	id, home := 0, "/root"
	if name != "root" {
		users, groups := acc.passwd.ids(), acc.group.ids()
		for id = first; users[id] || groups[id]; id++ {
		}
		if id > last {
			return nil, fmt.Errorf("/etc/passwd: no id from %d to %d is free for %s", first, last, name)
		}
		home = "/home/" + name
	}
	gid := strconv.Itoa(id)
	_, group, err := acc.group.find(name)
	switch {
	case err != nil:
		return nil, err
	case group != nil:
		gid = group[2]
	default:
		acc.group.add(name, "x", gid, "")
		if acc.gshadow.exists {
			acc.gshadow.add(name, "!", "", "")
		}
	}
	fields := []string{name, "x", strconv.Itoa(id), gid, "", home, shell}
	acc.passwd.add(fields...)
	return fields, nil
}

// password sets the hash, which belongs into shadow(5) and nowhere else. Without a
// hash a new user gets "*", which no password is. "!" would do as much, but to an
// sshd without PAM is a locked account, whose keys it refuses too.
func (acc *accounts) password(name, hash string, keys bool) error {
	i, user, err := acc.passwd.find(name)
	if err != nil {
		return err
	}
	if hash != "" {
		user[1] = "x"
		acc.passwd.set(i, user)
	}
	i, fields, err := acc.shadow.find(name)
	if err != nil {
		return err
	}
	switch {
	case fields == nil && user[1] == "x":
		acc.shadow.add(name, cmp.Or(hash, "*"), "", "0", "99999", "7", "", "", "")
	case fields == nil: // its password, if any, stands in passwd
	case hash != "":
		fields[1] = hash
		acc.shadow.set(i, fields)
	case keys && fields[1] != "" && strings.Trim(fields[1], "!*") == "":
		fields[1] = "*"
		acc.shadow.set(i, fields)
	}
	return nil
}

// join adds a user to the first of the groups that there is.
func (acc *accounts) join(name string, groups ...string) (bool, error) {
	for _, g := range groups {
		in, err := acc.group.member(g, name)
		if err != nil {
			return false, err
		}
		if in {
			_, err := acc.gshadow.member(g, name)
			return true, err
		}
	}
	return false, nil
}
