//go:build linux

package lxc

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/guestforge/provision/internal/cgroup"
)

// limitsIn returns the limits that a configuration gives a guest at its next start.
func limitsIn(groups *cgroup.Layout, conf settings) (*cgroup.Limits, error) {
	l, err := groups.Configured(func(key string) string {
		var list []string
		for _, v := range conf[key] {
			list = append(list, plainBytes(key, v))
		}
		if strings.HasSuffix(key, "_device") || strings.HasSuffix(key, ".io.max") {
			return strings.Join(list, "\n") // a line for each device
		}
		if len(list) == 0 {
			return ""
		}
		return list[len(list)-1] // each is written, and the last one stays
	})
	if err != nil {
		return nil, fmt.Errorf("limits of the configuration: %w", err)
	}
	return l, nil
}

// plainBytes writes a number of bytes without the suffix that the kernel takes and a
// person may have used: see memparse in the kernel's lib/cmdline.c.
func plainBytes(key, value string) string {
	if !strings.Contains(key, ".memory.") || value == "" {
		return value
	}
	const units = "kmgt"
	i := strings.IndexByte(units, value[len(value)-1]|0x20)
	n, err := strconv.ParseUint(value[:len(value)-1], 10, 64)
	if i < 0 || err != nil || n > 1<<63>>(10*(i+1)) {
		return value
	}
	return strconv.FormatUint(n<<(10*(i+1)), 10)
}
