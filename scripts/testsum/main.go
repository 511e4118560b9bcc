// Testsum reads what "go test -json" writes, prints a line for each package and
// all that failing tests had to say, with the attributes that tests set, and
// appends how many passed, failed and were skipped to a file, as three numbers in
// a line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	tally := flag.String("tally", "", "`FILE` to append the counts to")
	flag.Parse()
	s := summary{out: os.Stdout, output: map[string][]string{}}
	err := s.read(os.Stdin)
	if *tally != "" {
		err = errors.Join(err, s.save(*tally))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	if s.failed+s.skipped > 0 {
		os.Exit(1)
	}
}

// event is a line of go test -json, see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
	Elapsed    float64
	Key, Value string // of an attribute
}

// summary counts tests, subtests included. A package that fails without a test
// of its own that did, because it does not build or panics, counts as one.
type summary struct {
	out                     io.Writer
	passed, failed, skipped int
	output                  map[string][]string // by package and test
	broken                  map[string]bool     // packages with a test that failed
}

func (s *summary) read(r io.Reader) error {
	s.broken = map[string]bool{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			// The go command itself speaks, not a test.
			fmt.Fprintln(s.out, lines.Text())
			continue
		}
		s.add(e)
	}
	return lines.Err()
}

func (s *summary) add(e event) {
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		s.output[key] = append(s.output[key], e.Output)
		return
	case "attr":
		fmt.Fprintf(s.out, "%s %s: %s\n", e.Test, e.Key, e.Value)
		return
	case "build-fail":
		s.show(key)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e, key)
		} else {
			s.endTest(e, key)
		}
	default:
		return
	}
	delete(s.output, key)
}

func (s *summary) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		s.passed++
		return
	case "skip":
		s.skipped++
		fmt.Fprintf(s.out, "SKIP %s %s\n", e.Package, e.Test)
	case "fail":
		s.failed++
		s.broken[e.Package] = true
		fmt.Fprintf(s.out, "FAIL %s %s\n", e.Package, e.Test)
	}
	s.show(key)
}

func (s *summary) endPackage(e event, key string) {
	if e.Action == "fail" && !s.broken[e.Package] {
		s.failed++
		s.show(key)
		// A test that ended its process never said how it ended.
		for other := range s.output {
			if strings.HasPrefix(other, e.Package+" ") && other != key {
				s.show(other)
			}
		}
	}
	if e.Action == "skip" { // of a package: it has no tests
		return
	}
	fmt.Fprintf(s.out, "%-4s %7.1f s  %s\n", e.Action, e.Elapsed, e.Package)
}

func (s *summary) show(key string) {
	for _, text := range s.output[key] {
		fmt.Fprint(s.out, text)
	}
}

func (s *summary) save(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, s.passed, s.failed, s.skipped)
	return errors.Join(err, f.Close())
}
