package provision_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
)

// sameSpec compares Specs; an empty list and no list are the same.
var sameSpec = cmp.Options{
	cmpopts.EquateEmpty(), cmpopts.EquateNaNs(), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}),
}

// small is the smallest Spec that is valid.
func small() provision.Spec { return provision.Spec{Name: "web1", Image: "debian-12"} }

// Secrets that no error, log, plan or record may show.
const (
	secretHash = "$6$rounds=5000$SALTsaltSECRET$HASHhashSECREThash"
	secretData = "#cloud-config\nchpasswd: {list: 'root:USERDATAsecret'}\n"
)

// secretKey is a line for authorized_keys whose comment is easy to find.
func secretKey() string { return ed25519Line() + " KEYcommentSECRET" }

// wire writes the fields of an SSH public key (RFC 4253, section 6.6).
func wire(fields ...[]byte) string {
	var b []byte
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func ed25519Line() string {
	seed := make([]byte, ed25519.SeedSize)
	pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	return "ssh-ed25519 " + wire([]byte("ssh-ed25519"), pub)
}

func rsaLine(t *testing.T) string {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	pub := rsa.PublicKey{N: n.Add(n, big.NewInt(12345)), E: 65537}
	return "ssh-rsa " + wire([]byte("ssh-rsa"), big.NewInt(int64(pub.E)).Bytes(), append([]byte{0}, pub.N.Bytes()...))
}

func ecdsaLine(t *testing.T) string {
	t.Helper()
	scalar := make([]byte, 32)
	scalar[31] = 7
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	return "ecdsa-sha2-nistp256 " + wire([]byte("ecdsa-sha2-nistp256"), []byte("nistp256"), point)
}
