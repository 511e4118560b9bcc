// Package lxctest holds the long tests of the lxc backend, on real containers.
package lxctest
