//go:build linux

package lxctest_test

import (
	"testing"

	"github.com/guestforge/provision/internal/lxcrig"
)

func TestMain(m *testing.M) { lxcrig.Main(m) }
