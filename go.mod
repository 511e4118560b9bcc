module github.com/guestforge/provision

go 1.25.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/stretchr/testify v1.12.1
	libvirt.org/go/libvirtxml v1.12002.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
