package cgroup

// Controller is a controller of control groups, by its name in version 2. Those
// that have none there have that of version 1.
type Controller string

// Controllers that this package uses. CPUAcct, Devices and Freezer are of version
// 1 only: in version 2 each group counts processor time and can be frozen, and
// devices are the business of a BPF program.
const (
	CPU     Controller = "cpu"
	CPUAcct Controller = "cpuacct"
	CPUSet  Controller = "cpuset"
	Memory  Controller = "memory"
	PIDs    Controller = "pids"
	IO      Controller = "io"
	Devices Controller = "devices"
	Freezer Controller = "freezer"
)

// limiting are the controllers that limits take.
var limiting = []Controller{CPU, CPUSet, IO, Memory, PIDs}
