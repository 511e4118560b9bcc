package domainxml

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isChar says whether XML 1.0 has a form for the character, section 2.2.
func isChar(r rune) bool {
	return r >= 0x20 && r < 0xd800 || r == '\t' || r == '\n' || r == '\r' || r >= 0xe000 && r < 0xfffe || r >= 0x10000 && r <= utf8.MaxRune
}

// badCharacter returns where a text has one that XML cannot carry.
func badCharacter(s string) (at int, problem string) {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < 0x20 && !isSpace(c) {
				return i, "the character " + strconv.QuoteToASCII(string(c)) + ", which XML cannot carry"
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return i, "bytes that are not UTF-8"
		case !isChar(r):
			return i, "the character " + strconv.QuoteToASCII(string(r)) + ", which XML cannot carry"
		}
		i += n
	}
	return 0, ""
}

// nameLength returns how many bytes at the begin of s are a name by XML 1.0,
// section 2.3.
func nameLength(s string) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == ':' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			if i == 0 || !(c >= '0' && c <= '9' || c == '-' || c == '.') {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !nameStart(r) && (i == 0 || !namePart(r)) {
			return i
		}
		i += n
	}
	return len(s)
}

// nameStart and namePart are for characters that are not ASCII.
func nameStart(r rune) bool {
	switch {
	case r < 0x300:
		return r >= 0xc0 && r != 0xd7 && r != 0xf7
	case r < 0x2000:
		return r >= 0x370 && r != 0x37e
	case r < 0x3001:
		return r == 0x200c || r == 0x200d || r >= 0x2070 && r <= 0x218f || r >= 0x2c00 && r <= 0x2fef
	}
	return r <= 0xd7ff || r >= 0xf900 && r <= 0xfdcf || r >= 0xfdf0 && r <= 0xfffd || r >= 0x10000 && r <= 0xeffff
}

func namePart(r rune) bool {
	return r == 0xb7 || r >= 0x300 && r <= 0x36f || r == 0x203f || r == 0x2040
}

// reference reads what begins with "&": the character, and its length in bytes.
func reference(s string) (r rune, n int, problem string) {
	end := strings.IndexByte(s[:min(len(s), 64)], ';')
	if end < 0 {
		return 0, 0, "& that begins no reference; as a character it is written &amp;"
	}
	name := s[1:end]
	switch name {
	case "amp":
		return '&', end + 1, ""
	case "lt":
		return '<', end + 1, ""
	case "gt":
		return '>', end + 1, ""
	case "quot":
		return '"', end + 1, ""
	case "apos":
		return '\'', end + 1, ""
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, 0, "a reference to an entity that XML does not have; & as a character is written &amp;"
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil || v > utf8.MaxRune || !isChar(rune(v)) {
		return 0, 0, "a reference to a character that XML cannot carry: &" + strconv.QuoteToASCII(name) + ";"
	}
	return rune(v), end + 1, ""
}

// decode replaces references; the text has been parsed.
func decode(b *strings.Builder, s string) {
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			return
		}
		r, n, _ := reference(s[i:])
		b.WriteString(s[:i])
		b.WriteRune(r)
		s = s[i+n:]
	}
}

// decodeValue is the value of an attribute: XML 1.0, section 3.3.3, makes spaces
// of white space that is not written as a reference.
func decodeValue(raw string) string {
	if !strings.ContainsAny(raw, "&\t\n\r") {
		return raw
	}
	raw = strings.ReplaceAll(raw, "\r\n", " ")
	raw = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, raw)
	var b strings.Builder
	decode(&b, raw)
	return b.String()
}

// decodeText is a run of text: section 2.11 makes one line feed of each end of
// line.
func decodeText(raw string, cdata bool) string {
	if strings.IndexByte(raw, '\r') >= 0 {
		raw = strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\r", "\n")
	}
	if cdata || strings.IndexByte(raw, '&') < 0 {
		return raw
	}
	var b strings.Builder
	decode(&b, raw)
	return b.String()
}

// printable quotes a text that a terminal or a log might take for something else.
func printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// escape writes a string for between the quotes q, or for text with q 0.
func escape(b *strings.Builder, s string, q byte) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '&':
			b.WriteString("&amp;")
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '\r':
			b.WriteString("&#13;")
		case q != 0 && c == '\n':
			b.WriteString("&#10;")
		case q != 0 && c == '\t':
			b.WriteString("&#9;")
		case q == '"' && c == '"':
			b.WriteString("&quot;")
		case q == '\'' && c == '\'':
			b.WriteString("&apos;")
		default:
			b.WriteByte(c)
		}
	}
}
