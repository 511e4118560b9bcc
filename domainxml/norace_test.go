//go:build !race

package domainxml_test

const slower = 1
