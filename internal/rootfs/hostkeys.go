package rootfs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	hostKeyDir = "/etc/ssh/"
	maxKeyFile = 16 << 10
)

// hostKeys makes new host keys for sshd(8): Debian makes none outside of its
// package's installation, and without any sshd does not start. RSA keys of the
// image go away and are not replaced: a new one takes longer than all else here,
// and clients since OpenSSH 6.5 of 2014 take the others.
func (b *boot) hostKeys() error {
	if !b.NewIdentity {
		return nil
	}
	if b.t.Exists("/etc/dropbear") {
		b.note("host keys of dropbear that the image has are left")
	}
	if !b.im.sshd {
		return nil
	}
	for _, kind := range []string{"dsa", "rsa"} {
		for _, suffix := range []string{"_key", "_key.pub"} {
			if err := b.remove(hostKeyDir + "ssh_host_" + kind + suffix); err != nil {
				return err
			}
		}
	}
	if err := b.hostKey("ed25519", newEd25519); err != nil {
		return err
	}
	return b.hostKey("ecdsa", newECDSA)
}

// hostKey makes one pair. The comment tells a pair of this guest from the image's;
// the public half is written last, and proves that the private one is there.
func (b *boot) hostKey(kind string, generate func() (crypto.Signer, error)) error {
	name := hostKeyDir + "ssh_host_" + kind + "_key"
	comment := "provision-" + b.InstanceID
	have, err := b.t.ReadFile(name+".pub", maxKeyFile)
	if err == nil && strings.HasSuffix(string(have), " "+comment+"\n") && b.t.Exists(name) {
		return nil
	}
	key, err := generate()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := b.write(name, pem.EncodeToMemory(block), Attr{Mode: 0o600}); err != nil {
		return err
	}
	line := strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(public)), "\n") + " " + comment + "\n"
	return b.write(name+".pub", []byte(line), Attr{Mode: 0o644})
}

func newEd25519() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func newECDSA() (crypto.Signer, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}
