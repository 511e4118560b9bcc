package domainxml_test

import (
	"testing"
	"time"

	"github.com/guestforge/provision/domainxml"
)

// patience is how long one Read may take, on a busy machine.
const patience = 5 * time.Second * slower

// read fails the test when Read has not returned in time.
func read(t *testing.T, doc []byte) (*domainxml.Inventory, error) {
	t.Helper()
	type answer struct {
		inv *domainxml.Inventory
		err error
	}
	done := make(chan answer, 1)
	go func() {
		inv, err := domainxml.Read(doc)
		done <- answer{inv, err}
	}()
	select {
	case a := <-done:
		return a.inv, a.err
	case <-time.After(patience):
		t.Fatalf("Read of %d bytes did not return within %s", len(doc), patience)
		return nil, nil
	}
}
