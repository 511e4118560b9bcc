//go:build race

package domainxml_test

// slower is by how much the race detector slows encoding/xml down, and more.
const slower = 6
