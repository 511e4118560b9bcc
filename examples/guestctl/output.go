package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/guestforge/provision"
)

// document prints the one JSON document of a verb.
func (c *command) document(v any) error { return writeJSON(c.stdout, v) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows, the first of them the heading, in columns. All rows have all
// their cells, or the columns would not go on below a row without the last ones;
// no line ends with spaces.
func (c *command) table(rows ...[]string) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = plain(cell)
		}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t")) // to memory, as the next
	}
	_ = w.Flush()
	for line := range strings.Lines(text.String()) {
		if err := c.say("%s", strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// plain quotes text that would do something to a terminal or to the columns.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// joined prints things with a comma between them.
func joined[T any](list []T) string {
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = fmt.Sprint(e)
	}
	return strings.Join(words, ", ")
}

// isTerminal reports whether a person reads what is written to a stream, or types
// what comes from it.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// bar is a progress bar in one line of a terminal.
type bar struct {
	w     io.Writer
	name  string
	shown int // percent; the terminal is written to only when it changes
}

const barWidth = 30

func (b *bar) show(p provision.Progress) {
	if p.Total <= 0 {
		return
	}
	percent := int(p.Done * 100 / p.Total)
	if percent == b.shown {
		return
	}
	b.shown = percent
	_, _ = fmt.Fprintf(b.w, "\r%s [%-*s] %3d%%", b.name, barWidth, strings.Repeat("#", percent*barWidth/100), percent)
}

// end leaves the line.
func (b *bar) end() {
	if b.shown > 0 {
		_, _ = fmt.Fprintln(b.w)
	}
}
