package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
)

// access makes the user, or changes the one that is there, and lets it in.
func (b *boot) access() error {
	a := &b.Access
	if a.User == "" && a.PasswordHash == "" && len(a.AuthorizedKeys) == 0 {
		return nil
	}
	name := a.User
	if name == "" {
		name = "root"
	}
	acc, err := b.readAccounts()
	if err != nil {
		return err
	}
	u, err := acc.user(name, b.shell())
	if err != nil {
		return err
	}
	if err := acc.password(name, a.PasswordHash, len(a.AuthorizedKeys) > 0); err != nil {
		return err
	}
	sudo := name != "root" && b.t.Exists("/etc/sudoers.d")
	if name != "root" && !sudo {
		if in, err := acc.join(name, "sudo", "wheel"); err != nil {
			return err
		} else if !in {
			b.note("user %s cannot become root: the image has neither sudo nor a group sudo or wheel", name)
		}
	}
	if err := b.writeAccounts(acc); err != nil {
		return err
	}
	if err := b.home(u); err != nil {
		return err
	}
	if sudo {
		line := name + " ALL=(ALL) NOPASSWD:ALL\n"
		if err := b.write("/etc/sudoers.d/90-provision", []byte(line), Attr{Mode: 0o440}); err != nil {
			return err
		}
	}
	return b.authorize(u)
}

func (b *boot) shell() string {
	if b.t.Exists("/bin/bash") {
		return "/bin/bash"
	}
	return "/bin/sh"
}

func (b *boot) readAccounts() (*accounts, error) {
	var acc accounts
	for _, f := range []struct {
		table  **table
		name   string
		fields int
		mode   fs.FileMode
	}{
		{&acc.passwd, "/etc/passwd", 7, 0o644},
		{&acc.shadow, "/etc/shadow", 9, 0o640},
		{&acc.group, "/etc/group", 4, 0o644},
		{&acc.gshadow, "/etc/gshadow", 4, 0o640},
	} {
		t, err := b.table(f.name, f.fields, f.mode)
		if err != nil {
			return nil, err
		}
		*f.table = t
	}
	return &acc, nil
}

// writeAccounts writes passwd last: a user who is there has all of it. The group of
// a new shadow is the one that Debian has for it, or root.
func (b *boot) writeAccounts(acc *accounts) error {
	gid := 0
	if _, fields, err := acc.group.find("shadow"); err != nil {
		return err
	} else if fields != nil {
		if gid, err = acc.group.number(fields[2]); err != nil {
			return err
		}
	}
	for _, t := range []*table{acc.group, acc.gshadow, acc.shadow, acc.passwd} {
		data := t.bytes()
		if bytes.Equal(data, t.before) {
			continue
		}
		a := Attr{Mode: t.mode, Keep: true}
		if t.mode == 0o640 {
			a.GID = gid
		}
		if err := b.write(t.name, data, a); err != nil {
			return err
		}
	}
	return nil
}

// home makes the home of a user that has none, as useradd(8) does.
func (b *boot) home(u *user) error {
	if !path.IsAbs(u.home) || strings.ContainsFunc(u.home, unicode.IsControl) {
		return fmt.Errorf("/etc/passwd: %w: the home of %s is no path", ErrUnsafe, u.name)
	}
	if b.t.Exists(u.home) || path.Clean(u.home) == "/" {
		return nil
	}
	if err := b.mkdir(u.home, Attr{UID: u.uid, GID: u.gid, Mode: 0o700}); err != nil {
		return err
	}
	files, err := b.t.ReadDir("/etc/skel")
	if err != nil {
		return nil // nobody needs it
	}
	for _, f := range files {
		data, info, err := b.t.readFile("/etc/skel/"+f, 64<<10)
		if err != nil {
			continue
		}
		a := Attr{UID: u.uid, GID: u.gid, Mode: info.Mode().Perm()}
		if err := b.write(path.Join(u.home, f), data, a); err != nil {
			return err
		}
	}
	return nil
}

// authorize adds keys to authorized_keys. A link in place of the directory is not
// followed: it is the user's, and may lead to what is root's in the guest.
func (b *boot) authorize(u *user) error {
	if len(b.Access.AuthorizedKeys) == 0 {
		return nil
	}
	dir := path.Join(u.home, ".ssh")
	info, err := b.t.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = b.mkdir(dir, Attr{UID: u.uid, GID: u.gid, Mode: 0o700})
	case err == nil && !info.IsDir():
		err = fmt.Errorf("%s: %w: it is %s, no directory", dir, ErrUnsafe, kind(info))
	}
	if err != nil {
		return err
	}
	name := dir + "/authorized_keys"
	data, err := b.text(name, "")
	if err != nil {
		return err
	}
	return b.write(name, addLines(data, b.Access.AuthorizedKeys), Attr{UID: u.uid, GID: u.gid, Mode: 0o600})
}

// addLines appends lines that a text does not have.
func addLines(data []byte, lines []string) []byte {
	have := strings.Split(string(data), "\n")
	text := string(data)
	for _, l := range lines {
		if slices.Contains(have, l) {
			continue
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text += l + "\n"
		have = append(have, l)
	}
	return []byte(text)
}
