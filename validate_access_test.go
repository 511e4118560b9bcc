package provision_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

func user(v string) func(*provision.Spec) { return func(s *provision.Spec) { s.Access.User = v } }
func hash(v string) func(*provision.Spec) {
	return func(s *provision.Spec) { s.Access.PasswordHash = v }
}

func sshKeys(v ...string) func(*provision.Spec) {
	return func(s *provision.Spec) { s.Access.AuthorizedKeys = v }
}

func labels(pairs ...string) func(*provision.Spec) {
	return func(s *provision.Spec) {
		s.Labels = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			s.Labels[pairs[i]] = pairs[i+1]
		}
	}
}

func residency(v string) func(*provision.Spec) {
	return func(s *provision.Spec) { s.Needs.Residency = v }
}

func TestValidateAccess(t *testing.T) {
	ed := ed25519Line()
	_, blob, _ := strings.Cut(ed, " ")
	const keys, pw = "access.authorizedKeys[0]", "access.passwordHash"
	for _, c := range []badField{
		{"user", user("_admin-1"), "", "", ""},
		{"user upper case", user("Admin"), "access.user", "Admin", "is not a user name"},
		{"user with colon", user("root:x"), "access.user", "root:x", "is not a user name"},
		{"user with newline", user("a\nroot"), "access.user", "a\nroot", "is not a user name"},
		{"user of 33", user(long[:33]), "access.user", long[:33], "at most 32"},

		{"ed25519", sshKeys(ed), "", "", ""},
		{"ed25519 with comment", sshKeys(ed + " me@example.net, my laptop 😀"), "", "", ""},
		{"rsa", sshKeys(rsaLine(t) + " me"), "", "", ""},
		{"ecdsa", sshKeys(ecdsaLine(t)), "", "", ""},
		{"three", sshKeys(ed, rsaLine(t), ecdsaLine(t)), "", "", ""},
		{"empty line", sshKeys(""), keys, "", "is not a public key"},
		{"comment line", sshKeys("# SECRET"), keys, "", "is not a public key"},
		{"type only", sshKeys("ssh-ed25519"), keys, "", "is not a public key"},
		{"private key", sshKeys("-----BEGIN OPENSSH PRIVATE KEY-----"), keys, "", "is not a public key"},
		{"second line", sshKeys(ed + "\nssh-rsa SECRET"), keys, "", "control characters"},
		{"carriage return", sshKeys(ed + "\r"), keys, "", "control characters"},
		{"NUL", sshKeys(ed + "\x00"), keys, "", "control characters"},
		{"not UTF-8", sshKeys(ed + " \xff"), keys, "", "not UTF-8"},
		{"option", sshKeys(`command="/bin/SECRET" ` + ed), keys, "", "is not a public key"},
		{"option without value", sshKeys("no-pty " + ed), keys, "", "is not a public key"},
		{"other type", sshKeys("ssh-rsa " + blob), keys, "", "does not match its type"},
		{"unknown type", sshKeys("foo " + wire([]byte("foo"), []byte("SECRET"))), keys, "", "is not a public key"},
		{"type with a quote", sshKeys(`command="x" ` + wire([]byte(`command="x"`), []byte("SECRET"))), keys, "", "is not a public key"},
		{"no key in it", sshKeys("ssh-ed25519 " + wire([]byte("ssh-ed25519"))), keys, "", "is not a public key"},
		{"not base64", sshKeys("ssh-ed25519 SECRET!"), keys, "", "is not a public key"},
		{"length beyond the end", sshKeys("ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\xff\xff\xff\xffssh-ed25519"))), keys, "", "does not match"},
		{"short blob", sshKeys("ssh-ed25519 AAAA"), keys, "", "is not a public key"},
		{"leading space", sshKeys(" " + ed), keys, "", "is not a public key"},
		{"two spaces", sshKeys(strings.Replace(ed, " ", "  ", 1)), keys, "", "is not a public key"},
		{"64 KiB", sshKeys(ed + " " + long), keys, "", "is not a public key"},
		{"second key", sshKeys(ed, "x"), "access.authorizedKeys[1]", "", "is not a public key"},

		{"sha512", hash(secretHash), "", "", ""},
		{"yescrypt", hash("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"), "", "", ""},
		{"bcrypt", hash("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"), "", "", ""},
		{"plain password", hash("SECRET"), pw, "", "plain passwords are refused"},
		{"DES", hash("abJnggxhB/yWI"), pw, "", "crypt(5)"},
		{"locked", hash("!$6$salt$hashhash"), pw, "", "crypt(5)"},
		{"hash with colon", hash("$6$salt$hash:0:0:SECRET"), pw, "", "crypt(5)"},
		{"hash with newline", hash("$6$salt$hashhash\nroot::0"), pw, "", "crypt(5)"},
		{"hash 64 KiB", hash("$6$" + long), pw, "", "crypt(5)"},

		{"user data", func(s *provision.Spec) { s.UserData = []byte("\x1f\x8b\x00\xff") }, "", "", ""},
		{"largest user data", func(s *provision.Spec) { s.UserData = make([]byte, 512<<10) }, "", "", ""},
		{"too much user data", func(s *provision.Spec) { s.UserData = []byte(strings.Repeat("SECRET", 100_000)) }, "userData", "", "has 600000 bytes; at most 524288"},

		{"labels", labels("a/b.c_d-E", "any\n\x00\x1b\"😀", "empty", ""), "", "", ""},
		{"label without name", labels("", "x"), "labels", "", "is not a label's name"},
		{"label with space", labels("a b", "x"), "labels", "a b", "is not a label's name"},
		{"label with emoji", labels("😀", "x"), "labels", "😀", "is not a label's name"},
		{"label of 64", labels(long[:64], "x"), "labels", clipped(long), "1 to 63"},
		{"label not UTF-8", labels("a", "\xff"), "labels.a", "\xff", "is not UTF-8"},
		{"64 KiB of labels", labels("a", long[1:]), "", "", ""},
		{"more than 64 KiB of labels", labels("a", long), "labels", "", "hold 65537 bytes"},

		{"residency", residency("NO"), "", "", ""},
		{"residency in lower case", residency("no"), "needs.residency", "no", "ISO 3166-1"},
		{"residency of three", residency("NOR"), "needs.residency", "NOR", "ISO 3166-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t)
			s := small()
			c.set(&s)
			if err := s.Validate(); err != nil {
				require.NotContains(t, err.Error(), "SECRET")
			}
		})
	}
}

// A value is cut between characters, not in one.
func TestValidateClipsWholeCharacters(t *testing.T) {
	for n := range 5 {
		s := small()
		s.Hostname = strings.Repeat("a", n) + strings.Repeat("😀", 100)
		all := fieldErrors(s.Validate())
		require.Len(t, all, 1)
		require.True(t, utf8.ValidString(all[0].Value), "%q", all[0].Value)
	}
}
