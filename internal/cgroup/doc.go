// Package cgroup limits, freezes, kills, measures and removes groups of
// processes through the control groups of Linux: of version 1, of version 2, and
// of hosts that have controllers on both ("hybrid").
//
// It works on files alone, by path, and has no state: its methods can be called
// from several goroutines and processes. What the files mean is from cgroups(7)
// and the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
package cgroup
