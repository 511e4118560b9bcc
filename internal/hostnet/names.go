package hostnet

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
)

// Prefixes of what is made on hosts.
const (
	devicePrefix = "pv"
	shaperPrefix = "pi"
	tablePrefix  = "provision_"
)

// MaxNICs is how many NICs of one guest have names.
const MaxNICs = 100

var (
	// ours are the devices that this package names, and tables likewise.
	ours     = regexp.MustCompile(`^p[vi][0-9a-f]{10}-[0-9]{1,2}$`)
	ourTable = regexp.MustCompile(`^` + tablePrefix + `[0-9a-f]{12}$`)
	// bridgeRE is narrower than the kernel, which takes any bytes but slash, colon
	// and white space (dev_valid_name).
	bridgeRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)
)

func digest(id string, digits int) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])[:digits]
}

// Device is the name of the host's side of NIC i of the guest with that ID: up to 15
// characters, which is the most that the kernel takes.
func Device(id string, i int) string {
	return devicePrefix + digest(id, 10) + "-" + strconv.Itoa(i)
}

// shaper is the ifb device beside [Device].
func shaper(id string, i int) string {
	return shaperPrefix + digest(id, 10) + "-" + strconv.Itoa(i)
}

// Table is the name of the guest's table of nftables, of the family netdev.
func Table(id string) string { return tablePrefix + digest(id, 12) }

// chain is the name of the chain of NIC i.
func chain(i int) string { return "nic" + strconv.Itoa(i) }
