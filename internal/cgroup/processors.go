package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Processors returns the numbers of the processors that groups can have, in order:
// those of the root of the hierarchy with cpuset, or else those that are online below
// root, which is "/" for this host. They need not begin at 0, nor be without gaps.
func (l *Layout) Processors(root string) ([]int, error) {
	files := []string{filepath.Join(root, "sys/devices/system/cpu/online")}
	if h, ok := l.Find(CPUSet); ok {
		files = append([]string{filepath.Join(h.Dir, effectiveCPUs), filepath.Join(h.Dir, cpusetFile)}, files...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		set, err := parseSet(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(set) > 0 {
			return set, nil
		}
	}
	return nil, fmt.Errorf("processors of the host: none of %v tells", files)
}
