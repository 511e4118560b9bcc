package domainxml_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

// malformed are documents that Parse refuses, with where and why. lax is the reason
// why an oracle takes one.
var malformed = []struct {
	doc          string
	line, column int
	problem      string
	goLax        string // encoding/xml takes it
	libLax       string // libxml2 takes it
}{
	// Documents, section 2.1.
	{"", 1, 1, "no element", "", ""},
	{" \n\t", 2, 2, "no element", "", ""},
	{"<!-- a -->", 1, 11, "no element", "", ""},
	{"<domain/><domain/>", 1, 10, "more than one root", "", ""},
	{"<domain/>\n<!-- a -->\n x", 3, 2, "text outside", "", ""},
	{"x<domain/>", 1, 1, "text outside", "", ""},
	{"<domain/>&amp;", 1, 10, "text outside", "", ""},
	{"<domain/><![CDATA[]]>", 1, 10, "more than one root", "it lets a caller decide", ""},
	{"<![CDATA[]]><domain/>", 1, 2, "without a name", "it lets a caller decide", ""},
	{"\ufeff\ufeff<domain/>", 1, 2, "text outside", "", ""},
	{" \ufeff<domain/>", 1, 2, "text outside", "", ""},
	{"<domain>", 1, 9, "ends within <domain>", "", ""},
	{"<domain>\n  <a>\n</domain>", 3, 1, "</domain> ends no element", "", ""},
	{"<domain></domain></domain>", 1, 18, "ends no element", "", ""},
	{"</domain>", 1, 1, "ends no element", "", ""},
	{"<domain><A></a></domain>", 1, 12, "</a> ends no element", "", ""},
	{"<domain><a:b></b></domain>", 1, 14, "</b> ends no element", "", ""},

	// Characters, section 2.2.
	{"<domain>\x00</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>é\x01</domain>", 1, 10, "cannot carry", "", ""},
	{"<domain a='\x1f'/>", 1, 12, "cannot carry", "", ""},
	{"<domain><!-- \x02 --></domain>", 1, 14, "cannot carry", "it does not look into comments", ""},
	{"<domain><?a \x03?></domain>", 1, 13, "cannot carry", "it does not look into instructions", ""},
	{"<domain>\ufffe</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>\uffff</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>\n\xff</domain>", 2, 1, "not UTF-8", "", ""},
	{"<domain>\xc0\x80</domain>", 1, 9, "not UTF-8", "", ""},
	{"<domain>\xed\xa0\x80</domain>", 1, 9, "not UTF-8", "", ""},
	{"<domain>\xf4\x90\x80\x80</domain>", 1, 9, "not UTF-8", "", ""},
	{"<domain/>\xc3", 1, 10, "not UTF-8", "", ""},

	// Names, section 2.3.
	{"<domain>< a/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><1/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><-a/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><.a/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><\u00b7a/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><\u0301/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><\u00d7/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><\u037e/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><\u2000/></domain>", 1, 10, "without a name", "", ""},
	{"<domain><a\u00d7/></domain>", 1, 11, "white space is missing", "", ""},
	{"<domain><a$/></domain>", 1, 11, "white space is missing", "", ""},
	{"<domain></ domain>", 1, 11, "without a name", "", ""},
	{"<domain>< /></domain>", 1, 10, "without a name", "", ""},
	{"<domain><></></domain>", 1, 10, "without a name", "", ""},

	// Names with prefixes: Namespaces in XML 1.0, section 4.
	{"<domain><:a/></domain>", 1, 10, "without a name", "names only", "an error that does not fail"},
	{"<domain><a:/></domain>", 1, 10, "without a name", "names only", "an error that does not fail"},
	{"<domain><a:b:c/></domain>", 1, 10, "without a name", "", "an error that does not fail"},
	{"<domain><a:1/></domain>", 1, 10, "without a name", "names only", "an error that does not fail"},
	{"<domain a:b:c='1'/>", 1, 9, "without a name", "", "an error that does not fail"},

	// Text and CDATA, sections 2.4 and 2.7.
	{"<domain>a]]>b</domain>", 1, 10, "]]>", "", ""},
	{"<domain>]]]></domain>", 1, 10, "]]>", "", ""},
	{"<domain><![CDATA[a]]b</domain>", 1, 9, "CDATA section that does not end", "", ""},
	{"<domain><![CDATA[<![CDATA[]]>]]></domain>", 1, 30, "]]>", "", ""},
	{"<domain><![cdata[a]]></domain>", 1, 10, "without a name", "", ""},
	{"<domain><!ELEMENT a></domain>", 1, 10, "without a name", "it lets a caller decide", ""},

	// Comments, section 2.5.
	{"<domain><!-- a -- b --></domain>", 1, 16, "-- within", "", ""},
	{"<domain><!-- a ---></domain>", 1, 16, "-- within", "", ""},
	{"<domain><!--></domain>", 1, 9, "comment that does not end", "", ""},
	{"<domain><!---></domain>", 1, 9, "comment that does not end", "", ""},
	{"<domain/><!-- a", 1, 10, "comment that does not end", "", ""},
	{"<domain><!- a --></domain>", 1, 10, "without a name", "", ""},

	// Processing instructions, section 2.6.
	{"<domain><?xml a?></domain>", 1, 9, "XML declaration", "it takes it anywhere", ""},
	{"<domain><?XmL?></domain>", 1, 9, "XML declaration", "names only", ""},
	{"<domain><? a?></domain>", 1, 11, "without a name", "", ""},
	{"<domain><??></domain>", 1, 11, "without a name", "", ""},
	{"<domain><?a></domain>", 1, 12, "white space is missing", "", ""},
	{"<domain><?a b></domain>", 1, 12, "does not end", "", ""},
	{"<domain><?a'b'?></domain>", 1, 12, "white space is missing", "it takes any text", ""},

	// The declaration, section 2.8.
	{" <?xml version='1.0'?><domain/>", 1, 2, "XML declaration", "it takes it anywhere", ""},
	{"<domain/><?xml version='1.0'?>", 1, 10, "XML declaration", "it takes it anywhere", ""},
	{"<?xml?><domain/>", 1, 1, "XML declaration", "it needs no version", ""},
	{"<?xml ?><domain/>", 1, 7, "without a name", "it needs no version", ""},
	{"<?xml version='1.1'?><domain/>", 1, 20, "another version", "", "a warning"},
	{"<?xml version='2.0'?><domain/>", 1, 20, "another version", "", ""},
	{"<?xml version='1.0'encoding='utf-8'?><domain/>", 1, 20, "not of the form", "it takes any text", ""},
	{"<?xml encoding='utf-8'?><domain/>", 1, 23, "begin with the version", "it needs no version", ""},
	{"<?xml version='1.0' standalone='yes' encoding='utf-8'?><domain/>", 1, 38, "not of the form", "it takes any text", ""},
	{"<?xml version='1.0' standalone='maybe'?><domain/>", 1, 39, "neither yes nor no", "it takes any text", ""},
	{"<?xml version='1.0' a='b'?><domain/>", 1, 21, "not of the form", "it takes any text", ""},
	{"<?xml version='1.0' version='1.0'?><domain/>", 1, 21, "not of the form", "it takes any text", ""},
	{"<?xml version=1.0?><domain/>", 1, 15, "not in quotes", "it needs no version", ""},
	{"<?xml version='1.0'><domain/>", 1, 20, "not of the form", "", ""},
	{"<?xml version='1.0'", 1, 20, "not of the form", "", ""},
	{"<?XML version='1.0'?><domain/>", 1, 1, "XML declaration", "names only", ""},

	// Encodings: only UTF-8 is taken.
	{"<?xml version='1.0' encoding='ISO-8859-1'?><domain/>", 1, 42, "another encoding", "", "it has others"},
	{"<?xml version='1.0' encoding='UTF-16'?><domain/>", 1, 38, "another encoding", "", "it goes on in UTF-8"},
	{"<?xml version='1.0' encoding=''?><domain/>", 1, 32, "another encoding", "it takes it as none", ""},
	{"<?xml version='1.0' encoding='US-ASCII'?><domain>é</domain>", 1, 40, "ASCII, and is not", "the test's reader of ASCII", "it goes on in UTF-8"},

	// The document type, section 2.8.
	{"<!DOCTYPE><domain/>", 1, 10, "white space is missing", "it takes any text", ""},
	{"<!DOCTYPE ><domain/>", 1, 11, "without a name", "it takes any text", ""},
	{"<!DOCTYPEdomain><domain/>", 1, 10, "white space is missing", "it takes any text", "it needs no white space"},
	{"<!doctype domain><domain/>", 1, 2, "without a name", "it takes any text", ""},
	{"<!DOCTYPE domain x><domain/>", 1, 18, "does not end", "it takes any text", ""},
	{"<!DOCTYPE domain 'x'><domain/>", 1, 18, "does not end", "it takes any text", ""},
	{"<!DOCTYPE domain SYSTEM><domain/>", 1, 24, "in quotes", "it takes any text", ""},
	{"<!DOCTYPE domain SYSTEM'x'><domain/>", 1, 24, "in quotes", "it takes any text", ""},
	{"<!DOCTYPE domain SYSTEM 'x' 'y'><domain/>", 1, 29, "does not end", "it takes any text", ""},
	{"<!DOCTYPE domain PUBLIC 'x'><domain/>", 1, 28, "in quotes", "it takes any text", ""},
	{"<!DOCTYPE domain PUBLIC '{x}' 'y'><domain/>", 1, 25, "public name", "it takes any text", ""},
	{"<!DOCTYPE domain PUBLIC 'x''y'><domain/>", 1, 28, "in quotes", "it takes any text", ""},
	{"<!DOCTYPE domain <domain/>", 1, 18, "does not end", "", ""},
	{"<!DOCTYPE domain SYSTEM 'x><domain/>", 1, 25, "does not end", "", ""},
	{"<!DOCTYPE domain><!DOCTYPE domain><domain/>", 1, 18, "before the root", "it takes any text", ""},
	{"<domain/><!DOCTYPE domain>", 1, 10, "before the root", "it takes any text", ""},
	{"<domain><!DOCTYPE domain></domain>", 1, 9, "before the root", "it takes any text", ""},
	{"<!DOCTYPE domain []><domain/>", 1, 18, "declarations", "it takes any text", "it has declarations"},
	{"<!DOCTYPE domain SYSTEM 'x' [<!ENTITY a 'b'>]><domain/>", 1, 29, "declarations", "it takes any text", "it has declarations"},

	// Tags and attributes, section 3.1.
	{"<domain a='1' a='2'/>", 1, 15, "twice", "", ""},
	{"<domain x:a='1' x:b='2' x:a='3'/>", 1, 25, "twice", "", ""},
	{"<domain a='1'b='2'/>", 1, 14, "white space is missing", "it needs none", ""},
	{"<domain a='1'\n\t b='<'/>", 2, 6, "< in the value", "", ""},
	{"<domain a=1/>", 1, 11, "not in quotes", "", ""},
	{"<domain a/>", 1, 10, "no value", "", ""},
	{"<domain a=/>", 1, 11, "not in quotes", "", ""},
	{"<domain a='1/>", 1, 11, "does not end", "", ""},
	{"<domain a='1\"/>", 1, 11, "does not end", "", ""},
	{"<domain 1='1'/>", 1, 9, "without a name", "", ""},
	{"<domain ='1'/>", 1, 9, "without a name", "", ""},
	{"<domain a='1', b='2'/>", 1, 14, "white space is missing", "", ""},
	{"<domain / >", 1, 9, "does not end", "", ""},
	{"<domain <a/></domain>", 1, 9, "without a name", "", ""},
	{"<domain", 1, 8, "does not end", "", ""},
	{"<domain ", 1, 9, "does not end", "", ""},
	{"<", 1, 2, "without a name", "", ""},
	{"<domain></domain a='1'>", 1, 18, "does not end", "", ""},
	{"<domain></domain", 1, 17, "does not end", "", ""},
	{"<domain></domain/>", 1, 17, "does not end", "", ""},

	// References, section 4.1.
	{"<domain>&</domain>", 1, 9, "begins no reference", "", ""},
	{"<domain>a & b</domain>", 1, 11, "begins no reference", "", ""},
	{"<domain>&amp</domain>", 1, 9, "begins no reference", "", ""},
	{"<domain>&;</domain>", 1, 9, "entity", "", ""},
	{"<domain>&AMP;</domain>", 1, 9, "entity", "", ""},
	{"<domain>&nbsp;</domain>", 1, 9, "entity", "", ""},
	{"<domain>&amp;&lt;é&x;</domain>", 1, 19, "entity", "", ""},
	{"<domain a='&x;'/>", 1, 12, "entity", "", ""},
	{"<domain>&#;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#x;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#X41;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#a;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#-1;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#+65;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#6_5;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&# 65;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#0;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#8;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#x1F;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#xD800;</domain>", 1, 9, "cannot carry", "it makes U+FFFD of it", ""},
	{"<domain>&#xFFFE;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#x110000;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#x100000041;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#18446744073709551681;</domain>", 1, 9, "cannot carry", "", ""},
	{"<domain>&#" + strings.Repeat("0", 70) + "65;</domain>", 1, 9, "begins no reference", "it counts no zeros", "it counts no zeros"},
}

// wellFormed are documents that Parse takes; strict is why encoding/xml does not.
var wellFormed = []struct{ doc, strict string }{
	{"<domain/>", ""},
	{"<domain\n\t/>\r\n", ""},
	{"<domain></domain\n>", ""},
	{"\ufeff<?xml version='1.0'?><domain/>", ""},
	{"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='no' ?>\n<domain/>", ""},
	{"<?xml\tversion = '1.0'\nstandalone='yes'?><domain/>", ""},
	{"<?xml version='1.0' encoding='us-ascii'?><domain/>", ""},
	{"<?xml-stylesheet href='a'?><domain/><?a?>", ""},
	{"<!DOCTYPE domain><domain/>", ""},
	{"<!-- a --><!DOCTYPE domain ><!----><domain/>", ""},
	{"<!DOCTYPE domain SYSTEM \"it's\"><domain/>", ""},
	{"<!DOCTYPE\ndomain\nPUBLIC '-//A//B 1.0//EN'\n'a>b' ><domain/>", ""},
	{"<domain a = '1'\n\tb\n=\n\"2\"/>", ""},
	{"<domain a='>' b=\"'\" c='\"' d='/>' e=''/>", ""},
	{"<domain xmlns:x='u'><x:a x:b='1' b='2'/></domain>", ""},
	{"<domain><x:a/></domain>", ""},
	{"<domain>]] ]> ></domain>", ""},
	{"<domain><![CDATA[]]></domain>", ""},
	{"<domain><![CDATA[]]]]><![CDATA[>&<]]></domain>", ""},
	{"<domain><!----><!-- - --><!-- <a> & -->a</domain>", ""},
	{"<domain><?a?><?b ?><?c ? ?><?d <&?></domain>", ""},
	{"<domain>&amp;&lt;&gt;&quot;&apos;&#65;&#x41;&#x10FFFF;&#9;&#xd;&#000065;</domain>", ""},
	{"<domain>\u0080\u0085\u2028\ud7ff\ue000\ufffd\ufdd0\U0001fffe\U0010ffff\x7f</domain>", ""},
	{"<domain><_/><a-b.c1/><é/><\u4e2d\u6587/><a\u00b7\u0301\u203f/></domain>", "U+203F is of the fifth edition"},
	{"<domain><\U00010000/><\u2070/><\u200c/></domain>", "names of the fifth edition"},
	{"<domain>a<b/>c<b/>d</domain>", ""},
	{"<domain><xml/><xmlfoo XML='1'/></domain>", ""},
	{"\r\n\t <domain/>\r\n\t ", ""},
}

func TestParseMalformed(t *testing.T) {
	for _, tt := range malformed {
		t.Run(strconv.QuoteToASCII(tt.doc), func(t *testing.T) {
			d, err := domainxml.Parse([]byte(tt.doc))
			require.ErrorContains(t, err, "domainxml: line ")
			require.Nil(t, d)
			var syntax *domainxml.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Contains(t, syntax.Problem, tt.problem)
			require.Equal(t, [2]int{tt.line, tt.column}, [2]int{syntax.Line, syntax.Column}, "%v", err)
		})
	}
}

func TestParseWellFormed(t *testing.T) {
	for _, tt := range wellFormed {
		d := mustParse(t, tt.doc)
		require.Equal(t, tt.doc, d.String())
		if tt.strict == "" {
			agrees(t, d, mustFlatten(t, tt.doc))
		}
	}
}

// encoding/xml takes and refuses the same, except as the tables say.
func TestParseAgreesWithGo(t *testing.T) {
	for _, tt := range malformed {
		t.Run(strconv.QuoteToASCII(tt.doc), func(t *testing.T) {
			_, err := flatten(tt.doc)
			require.Equal(t, tt.goLax != "", err == nil, "%v", err)
		})
	}
	for _, tt := range wellFormed {
		t.Run(strconv.QuoteToASCII(tt.doc), func(t *testing.T) {
			_, err := flatten(tt.doc)
			require.Equal(t, tt.strict != "", err != nil, "%v", err)
		})
	}
	for file, text := range withDomain(t) {
		_, err := flatten(text)
		require.NoError(t, err, file)
	}
}

// Documents of libvirt without a domain are well-formed, and refused as such.
func TestParseNeedsDomain(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/nodomain-*.xml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range append(files, "testdata/corpus/odd-domain-in-envelope.xml") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = domainxml.Parse(text)
		require.ErrorContains(t, err, "domainxml: the document has no domain", file)
		require.False(t, errors.As(err, new(*domainxml.SyntaxError)))
	}
}

// No part of a document is one, and none makes Parse panic.
func TestParseTruncated(t *testing.T) {
	docs := withDomain(t)
	for _, file := range slices.Sorted(maps.Keys(docs)) {
		text := docs[file]
		facts := mustFlatten(t, text)
		root := facts[slices.IndexFunc(facts, func(f fact) bool { return f.Kind == "element" })]
		step := max(1, len(text)/300)
		for n := 0; n < int(root.to); n += step {
			_, err := domainxml.Parse([]byte(text[:n]))
			require.Error(t, err, "%s cut after %d bytes", file, n)
			if n >= int(root.from) {
				_, err = domainxml.Parse([]byte(text[n+1:]))
				require.Error(t, err, "%s from byte %d on", file, n+1)
			}
		}
	}
}
