package hostnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/guestforge/provision/internal/ctxerr"
)

// Read asks the kernel about all NICs of the calling thread's network namespace. The
// number of questions is the same for any number of guests. That the kernel has no
// nftables is no error here: what needs them says so.
func Read(ctx context.Context) (*State, error) {
	return readState(ctx, func(s *State, c *conn) (err error) {
		if s.rates, err = c.rates(ctx); err != nil {
			return err
		}
		for _, l := range s.links {
			if l.VLANFiltering {
				s.vlans, err = c.vlans(ctx)
				break
			}
		}
		s.rules, s.noRules = s.readRules(ctx)
		return err
	})
}

// ReadLinks asks for the devices alone, which takes a fifth of the time: what it
// returns is for [State.Link], [State.Bridge] and [State.Counters], and knows of
// nothing in force.
func ReadLinks(ctx context.Context) (*State, error) {
	return readState(ctx, func(s *State, _ *conn) error {
		s.noRules = errors.New("it was not asked")
		return nil
	})
}

func readState(ctx context.Context, more func(*State, *conn) error) (*State, error) {
	c, err := dial(ctx, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer c.close()
	list, _, err := c.links(ctx, -1)
	if err != nil {
		return nil, err
	}
	s := &State{links: map[string]*Link{}, indexes: map[int]*Link{}}
	for i := range list {
		l := &list[i]
		s.links[l.Name], s.indexes[l.Index] = l, l
	}
	if err := more(s, c); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctxerr.Of(ctx)
	}
	return s, nil
}

func (s *State) readRules(ctx context.Context) (ruleset, error) {
	c, err := dial(ctx, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.ruleset(ctx, func(index int) string {
		if l := s.indexes[index]; l != nil {
			return l.Name
		}
		return ""
	})
}

// maxOutput is what is kept of what a command prints.
const maxOutput = 4 << 10

// run returns what a command prints. It has no environment, and what it says when it
// fails is in the error.
func run(ctx context.Context, input, path string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second
	out, said := capped{most: maxOutput}, capped{most: maxOutput}
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, ctxerr.Of(ctx)
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(said.kept.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", path, err, line)
	case out.over:
		return nil, fmt.Errorf("%s prints more than %d bytes", path, maxOutput)
	}
	return out.kept.Bytes(), nil
}

// capped keeps the first bytes. It has no ReadFrom, which would pass the bound by.
type capped struct {
	kept bytes.Buffer
	most int
	over bool
}

func (c *capped) Write(b []byte) (int, error) {
	keep := min(len(b), c.most-c.kept.Len())
	c.over = c.over || keep < len(b)
	c.kept.Write(b[:keep])
	return len(b), nil
}
