package provision_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/guestforge/provision"
)

func ExampleReadManifest() {
	const text = `
name: web1
image: debian-12
memory: {size: 2GiB}
nics:
  - bridge: br0
    addresses: [192.0.2.10/24]
    gateways: [192.0.2.1]
---
name: db1
image: debian-12
cpu: {count: 4}
`
	specs, err := provision.ReadManifest(strings.NewReader(text))
	for _, s := range specs {
		fmt.Println(s.Name, s.Features())
	}
	fmt.Println(err)

	_, err = provision.ReadManifest(strings.NewReader("name: web1\nuser_data: x\nmemory: {size: 2G}\n"))
	fmt.Println(err)
	// Output:
	// web1 [image memory.size nics nics.addresses]
	// db1 [cpu.count image]
	// <nil>
	// line 2, column 1: user_data: is not a known key; write userData
	// line 3, column 16: memory.size: "2G" has no unit that is known; write bytes as 2GiB, 512MiB or 4096
}

func ExampleSpec_Validate() {
	s := provision.Spec{
		Name: "Web1", Image: "debian-12",
		NICs:   []provision.NIC{{Bridge: "br0", VLAN: 4095}},
		Access: provision.Access{PasswordHash: "secret"},
	}
	err := s.Validate()
	fmt.Println(err)
	fmt.Println(errors.Is(err, provision.ErrInvalid))
	// Output:
	// name: "Web1" is not a name: it takes 1 to 63 characters of a-z, 0-9 and hyphen, and begins and ends with a letter or digit
	// nics[0].vlan: "4095" is not a VLAN from 1 to 4094
	// access.passwordHash: is not a crypt(5) string such as $6$salt$hash; plain passwords are refused
	// true
}
