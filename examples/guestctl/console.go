package main

import (
	"bytes"
	"context"
	"unicode"
)

// console prints the log of a guest as it is. On a terminal, what is not text
// is replaced: the guest's owner must not be able to play tricks on ours.
func console(ctx context.Context, c *command) error {
	g, err := c.guest(ctx)
	if err != nil {
		return err
	}
	var log []byte
	for {
		part, err := g.ConsoleLog(ctx, int64(len(log)))
		if err != nil {
			return err
		}
		if len(part) == 0 {
			break
		}
		log = append(log, part...)
	}
	if c.json {
		return c.document(map[string]string{"name": g.Name(), "console": string(log)})
	}
	if isTerminal(c.stdout) {
		log = harmless(log)
	}
	_, err = c.stdout.Write(log)
	return err
}

// harmless replaces control characters other than those that end lines.
func harmless(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		if r == '\r' {
			return -1
		}
		return '·'
	}, text)
}
