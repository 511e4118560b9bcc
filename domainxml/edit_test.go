package domainxml_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
)

type edits = []domainxml.Edit

var (
	set    = domainxml.Set
	add    = domainxml.Add
	remove = domainxml.Remove
)

// Each edit changes what it names, and no other byte.
func TestApply(t *testing.T) {
	for name, tt := range map[string]struct {
		doc   string
		edits edits
		want  string
	}{
		// Attributes keep their quotes.
		"attribute in '":       {"<domain type='kvm'/>", edits{set("@type", "qemu")}, "<domain type='qemu'/>"},
		"attribute in \"":      {`<domain type="kvm"/>`, edits{set("@type", "qemu")}, `<domain type="qemu"/>`},
		"spaced attribute":     {"<domain\ttype = 'kvm'\n id='1' />", edits{set("@type", "qemu")}, "<domain\ttype = 'qemu'\n id='1' />"},
		"new attribute":        {"<domain/>", edits{set("@type", "kvm")}, "<domain type='kvm'/>"},
		"new in a space":       {"<domain />", edits{set("@type", "kvm")}, "<domain type='kvm' />"},
		"new behind others":    {`<domain a="1" ></domain>`, edits{set("@b", "2")}, `<domain a="1" b="2" ></domain>`},
		"quotes of the first":  {`<domain a="1"><b/></domain>`, edits{set("b/@c", "2")}, `<domain a="1"><b c="2"/></domain>`},
		"two new ones":         {"<domain/>", edits{set("@a", "1"), set("@b", "2")}, "<domain a='1' b='2'/>"},
		"with a prefix":        {"<domain x:a='1' a='2'/>", edits{set("@x:a", "3")}, "<domain x:a='3' a='2'/>"},
		"attribute removed":    {"<domain a='1' b='2'/>", edits{remove("@b")}, "<domain a='1'/>"},
		"first one removed":    {"<domain a='1'\n\tb='2'>\n</domain>", edits{remove("@a")}, "<domain\n\tb='2'>\n</domain>"},
		"all removed":          {"<domain a='1' b='2' c='3' />", edits{remove("@b"), remove("@a"), remove("@c")}, "<domain />"},
		"removed and added":    {"<domain a='1'/>", edits{remove("@a"), set("@b", "2")}, "<domain b='2'/>"},
		"added and removed":    {"<domain a='1' b='2'/>", edits{set("@c", "3"), remove("@b")}, "<domain a='1' c='3'/>"},
		"> in a value":         {"<domain a='>/' b='2'/>", edits{remove("@b")}, "<domain a='>/'/>"},
		"quotes as references": {`<domain a="'"/>`, edits{set("@a", `"'<>&`)}, `<domain a="&quot;'&lt;&gt;&amp;"/>`},
		"white space in it":    {"<domain a=''/>", edits{set("@a", "\t\n\r ")}, "<domain a='&#9;&#10;&#13; '/>"},
		"no more":              {"<domain a='1'/>", edits{set("@a", "")}, "<domain a=''/>"},

		// Text.
		"text":                {"<domain><name>a</name></domain>", edits{set("name", "b")}, "<domain><name>b</name></domain>"},
		"text in none":        {"<domain><name></name></domain>", edits{set("name", "b")}, "<domain><name>b</name></domain>"},
		"text in one tag":     {"<domain><name/></domain>", edits{set("name", "b")}, "<domain><name>b</name></domain>"},
		"text in a wide tag":  {"<domain><name a='1' /></domain>", edits{set("name", "b")}, "<domain><name a='1' >b</name></domain>"},
		"text and attribute":  {"<domain><name/></domain>", edits{set("name", "b"), set("name/@a", "1")}, "<domain><name a='1'>b</name></domain>"},
		"text taken away":     {"<domain><name>a</name></domain>", edits{set("name", "")}, "<domain><name></name></domain>"},
		"text with a comment": {"<domain><name>a<!--x-->b</name></domain>", edits{set("name", "c")}, "<domain><name>c<!--x--></name></domain>"},
		"behind a comment":    {"<domain><name><!--x-->b</name></domain>", edits{set("name", "c")}, "<domain><name><!--x-->c</name></domain>"},
		"a comment alone":     {"<domain><name><!--x--></name></domain>", edits{set("name", "c")}, "<domain><name>c<!--x--></name></domain>"},
		"instruction":         {"<domain><name>a<?x a?>b</name></domain>", edits{set("name", "c")}, "<domain><name>c<?x a?></name></domain>"},
		"CDATA":               {"<domain><name><![CDATA[<a>]]></name></domain>", edits{set("name", "<b>")}, "<domain><name>&lt;b&gt;</name></domain>"},
		"CDATA and text":      {"<domain><name>a<![CDATA[b]]>c</name></domain>", edits{set("name", "d")}, "<domain><name>d</name></domain>"},
		"references":          {"<domain><name>a&amp;b&#x41;</name></domain>", edits{set("name", "a&bB")}, "<domain><name>a&amp;bB</name></domain>"},
		"lines":               {"<domain><name>a</name></domain>", edits{set("name", "b\n\tc\r\n")}, "<domain><name>b\n\tc&#13;\n</name></domain>"},
		"]]>":                 {"<domain><name>a</name></domain>", edits{set("name", "]]>")}, "<domain><name>]]&gt;</name></domain>"},
		"white space is text": {"<domain><name> \n </name></domain>", edits{set("name", "a")}, "<domain><name>a</name></domain>"},

		// What is missing is made.
		"made":              {"<domain>\n  <a/>\n</domain>", edits{set("name", "b")}, "<domain>\n  <a/>\n  <name>b</name>\n</domain>"},
		"made empty":        {"<domain>\n  <a/>\n</domain>", edits{set("name", "")}, "<domain>\n  <a/>\n  <name/>\n</domain>"},
		"made deep":         {"<domain>\n  <a/>\n</domain>", edits{set("b/c/@d", "e")}, "<domain>\n  <a/>\n  <b>\n    <c d='e'/>\n  </b>\n</domain>"},
		"made by condition": {"<domain>\n  <a/>\n</domain>", edits{set("t/pin[@vcpu='0'][@x=\"'\"]/@cpuset", "2")}, "<domain>\n  <a/>\n  <t>\n    <pin vcpu='0' x='&apos;' cpuset='2'/>\n  </t>\n</domain>"},
		"made together":     {"<domain>\n  <a/>\n</domain>", edits{set("t/p[@v='0']/@c", "1"), set("t/p[@v='1']/@c", "2"), set("t/s", "3"), set("t/p[@v='0']/@d", "4")}, "<domain>\n  <a/>\n  <t>\n    <p v='0' c='1' d='4'/>\n    <p v='1' c='2'/>\n    <s>3</s>\n  </t>\n</domain>"},
		"made beside":       {"<domain>\n  <t>\n    <p v='0'/>\n    <s/>\n  </t>\n</domain>", edits{set("t/p[@v='1']/@c", "2")}, "<domain>\n  <t>\n    <p v='0'/>\n    <p v='1' c='2'/>\n    <s/>\n  </t>\n</domain>"},
		"made in one tag":   {"<domain>\n  <t/>\n</domain>", edits{set("t/p/@c", "2")}, "<domain>\n  <t>\n    <p c='2'/>\n  </t>\n</domain>"},
		"made in white":     {"<domain>\n  <t>\n  </t>\n</domain>", edits{set("t/p/@c", "2")}, "<domain>\n  <t>\n    <p c='2'/>\n  </t>\n</domain>"},
		"made by a comment": {"<domain>\n  <t>\n    <!-- x -->\n  </t>\n</domain>", edits{set("t/p/@c", "2")}, "<domain>\n  <t>\n    <!-- x -->\n    <p c='2'/>\n  </t>\n</domain>"},
		"made in one line":  {"<domain><a/></domain>", edits{set("b/c", "d")}, "<domain><a/><b><c>d</c></b></domain>"},
		"made in the root":  {"<domain/>", edits{set("name", "a")}, "<domain><name>a</name></domain>"},
		"made with tabs":    {"<domain>\n\t<a/>\n</domain>", edits{set("b/c", "d")}, "<domain>\n\t<a/>\n\t<b>\n\t\t<c>d</c>\n\t</b>\n</domain>"},
		"made with CRLF":    {"<domain>\r\n <a/>\r\n</domain>\r\n", edits{set("b/c", "d")}, "<domain>\r\n <a/>\r\n <b>\r\n  <c>d</c>\r\n </b>\r\n</domain>\r\n"},
		"made with no unit": {"<domain>\n<a/>\n</domain>", edits{set("b/c", "d")}, "<domain>\n<a/>\n<b>\n  <c>d</c>\n</b>\n</domain>"},
		"attribute of all":  {"<domain>\n  <a><b/></a>\n</domain>", edits{set("*/b/@c", "d")}, "<domain>\n  <a><b c='d'/></a>\n</domain>"},

		// Elements.
		"add last":            {"<domain>\n  <d>\n    <a/>\n    <b/>\n  </d>\n</domain>", edits{add("d", "<c/>")}, "<domain>\n  <d>\n    <a/>\n    <b/>\n    <c/>\n  </d>\n</domain>"},
		"add to its like":     {"<domain>\n  <d>\n    <a/>\n    <b/>\n  </d>\n</domain>", edits{add("d", "<a x='1'/>")}, "<domain>\n  <d>\n    <a/>\n    <a x='1'/>\n    <b/>\n  </d>\n</domain>"},
		"add two":             {"<domain>\n  <d>\n    <a/>\n  </d>\n</domain>", edits{add("d", "<a x='1'/>"), add("d", "<a x='2'/>")}, "<domain>\n  <d>\n    <a/>\n    <a x='1'/>\n    <a x='2'/>\n  </d>\n</domain>"},
		"add lines":           {"<domain>\n  <d>\n    <a/>\n  </d>\n</domain>", edits{add("d", "<a>\n  <b/>\n  <c>x\ny</c>\n</a>")}, "<domain>\n  <d>\n    <a/>\n    <a>\n      <b/>\n      <c>x\ny</c>\n    </a>\n  </d>\n</domain>"},
		"add keeps comments":  {"<domain>\n  <a/>\n</domain>", edits{add("/domain", "<b>\n  <!-- x -->\n</b>")}, "<domain>\n  <a/>\n  <b>\n  <!-- x -->\n</b>\n</domain>"},
		"add to the domain":   {"<domain>\n  <a/>\n</domain>", edits{add("/domain", " \n<b/>\t")}, "<domain>\n  <a/>\n  <b/>\n</domain>"},
		"add to one tag":      {"<domain>\n  <d/>\n</domain>", edits{add("d", "<a><b/></a>")}, "<domain>\n  <d>\n    <a><b/></a>\n  </d>\n</domain>"},
		"add in one line":     {"<domain><d><a/></d></domain>", edits{add("d", "<b>\n</b>")}, "<domain><d><a/><b>\n</b></d></domain>"},
		"add with CRLF":       {"<domain>\r\n\t<a/>\r\n</domain>", edits{add("/domain", "<b>\n\t<c/>\n</b>")}, "<domain>\r\n\t<a/>\r\n\t<b>\r\n\t\t<c/>\r\n\t</b>\r\n</domain>"},
		"add behind comments": {"<domain>\n  <a/> <!-- of a --><!---->\t\n  <!-- of b -->\n  <b/>\n</domain>", edits{add("/domain", "<a i='2'/>")}, "<domain>\n  <a/> <!-- of a --><!---->\n  <a i='2'/>\t\n  <!-- of b -->\n  <b/>\n</domain>"},
		"add before elements": {"<domain>\n  <a/> <!-- of b --><b/>\n</domain>", edits{add("/domain", "<a i='2'/>")}, "<domain>\n  <a/>\n  <a i='2'/> <!-- of b --><b/>\n</domain>"},
		"remove a line":       {"<domain>\n  <a/>\n  <b>\n  </b>\n  <c/>\n</domain>", edits{remove("b")}, "<domain>\n  <a/>\n  <c/>\n</domain>"},
		"remove in a line":    {"<domain><a/> <b/> <c/></domain>", edits{remove("b")}, "<domain><a/>  <c/></domain>"},
		"remove by a comment": {"<domain>\n  <a/> <!-- of a -->\n</domain>", edits{remove("a")}, "<domain>\n   <!-- of a -->\n</domain>"},
		"remove with CRLF":    {"<domain>\r\n <a/>\r\n <b/>\r\n</domain>", edits{remove("a")}, "<domain>\r\n <b/>\r\n</domain>"},
		"remove the only":     {"<domain><d><a/></d></domain>", edits{remove("d/a")}, "<domain><d></d></domain>"},
		"remove within":       {"<domain><d><a/><b/></d></domain>", edits{remove("d/a"), remove("d")}, "<domain></domain>"},
		"remove it twice":     {"<domain><a/></domain>", edits{remove("a"), remove("*[1]")}, "<domain></domain>"},
		"remove beside add":   {"<domain>\n  <a i='1'/>\n  <a i='2'/>\n  <b/>\n</domain>", edits{remove("a[2]"), add("/domain", "<a i='3'/>")}, "<domain>\n  <a i='1'/>\n  <a i='3'/>\n  <b/>\n</domain>"},
		"add before a gap":    {"<domain>\n  <a i='1'/>\n  <b/>\n</domain>", edits{add("/domain", "<a i='2'/>"), remove("b")}, "<domain>\n  <a i='1'/>\n  <a i='2'/>\n</domain>"},
		"all replaced":        {"<domain>\n  <a/>\n  <b/>\n</domain>", edits{remove("a"), remove("b"), add("/domain", "<c/>")}, "<domain>\n  <c/>\n</domain>"},
		"all in one line":     {"<domain><a/><b/></domain>", edits{remove("a"), remove("b"), add("/domain", "<c/>")}, "<domain><c/></domain>"},
		"one of two":          {"<domain><a b='1'/><a b='2'/></domain>", edits{remove("a[@b='1']"), set("a[@b='2']/@b", "1")}, "<domain><a b='1'/></domain>"},

		// Paths that begin at the root, and inner domains.
		"from the root": {"<domain><a/></domain>", edits{set("/domain/a/@b", "c")}, "<domain><a b='c'/></domain>"},
		"inner domain":  {"<domstatus>\n  <x/>\n  <domain>\n    <name>a</name>\n  </domain>\n</domstatus>", edits{set("name", "b"), set("/domstatus/x/@y", "1")}, "<domstatus>\n  <x y='1'/>\n  <domain>\n    <name>b</name>\n  </domain>\n</domstatus>"},
		"after a BOM":   {"\ufeff<?xml version='1.0'?>\n<domain/>\n", edits{set("@a", "b")}, "\ufeff<?xml version='1.0'?>\n<domain a='b'/>\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustParse(t, tt.doc)
			require.NoError(t, d.Apply(tt.edits...))
			require.Equal(t, tt.want, d.String())
			again := mustParse(t, d.String())
			agrees(t, d, mustFlatten(t, again.String()))
		})
	}
}

// With an error, no edit is made, also not those that could be.
func TestApplyRefuses(t *testing.T) {
	const doc = "<domain type='kvm'>\n  <name>a</name>\n  <d><a i='1'/><a i='2'><c/></a></d>\n  <e/>\n</domain>\n"
	for name, tt := range map[string]struct {
		edits edits
		is    error // or
		says  string
	}{
		"nothing to remove":          {edits{remove("x")}, domainxml.ErrNotFound, ""},
		"no attribute to remove":     {edits{remove("@x")}, domainxml.ErrNotFound, ""},
		"nothing to add to":          {edits{add("x[1]", "<a/>")}, domainxml.ErrNotFound, ""},
		"another root":               {edits{set("/network/name", "b")}, domainxml.ErrNotFound, ""},
		"a number that is not":       {edits{set("d/a[3]/@i", "b")}, domainxml.ErrNotFound, ""},
		"a child that is not":        {edits{set("d/a[c/@x='1']/@i", "b")}, domainxml.ErrNotFound, ""},
		"any that is not":            {edits{set("e/*/@i", "b")}, domainxml.ErrNotFound, ""},
		"a prefix of nobody":         {edits{set("metadata/panel:customer/@id", "7")}, nil, "the prefix \"panel\" is not declared"},
		"such an attribute":          {edits{set("@panel:id", "7")}, nil, "the prefix \"panel\" is not declared"},
		"such an element":            {edits{add("d", "<a:b/>")}, nil, "the prefix \"a\" is not declared"},
		"two to set":                 {edits{set("d/a/@i", "b")}, domainxml.ErrAmbiguous, "names 2 elements"},
		"two to remove":              {edits{remove("d/a")}, domainxml.ErrAmbiguous, "names 2 elements"},
		"two to add to":              {edits{add("d/*", "<a/>")}, domainxml.ErrAmbiguous, "names 2 elements"},
		"two to make in":             {edits{set("d/a/b/@i", "b")}, domainxml.ErrAmbiguous, ""},
		"the domain":                 {edits{remove("/domain")}, nil, "has a domain"},
		"text among elements":        {edits{set("d", "b")}, nil, "has elements"},
		"elements among text":        {edits{add("name", "<a/>")}, nil, "has text"},
		"made among text":            {edits{set("name/a/@b", "1")}, nil, "has text"},
		"text and elements":          {edits{set("e", "b"), add("e", "<a/>")}, nil, "has text"},
		"elements and text":          {edits{add("e", "<a/>"), set("e", "b")}, nil, "has elements"},
		"made text and elements":     {edits{set("x", "b"), set("x/y", "c")}, domainxml.ErrConflict, ""},
		"made elements and text":     {edits{set("x/y", "c"), set("x", "b")}, nil, "has elements"},
		"add to an attribute":        {edits{add("@type", "<a/>")}, nil, "names an attribute"},
		"two values":                 {edits{set("@type", "b"), set("@type", "c")}, domainxml.ErrConflict, ""},
		"two texts":                  {edits{set("name", "b"), set("name", "c")}, domainxml.ErrConflict, ""},
		"two made":                   {edits{set("x/@y", "b"), set("x/@y", "c")}, domainxml.ErrConflict, ""},
		"two made texts":             {edits{set("x", "b"), set("x", "c")}, domainxml.ErrConflict, ""},
		"a condition twice":          {edits{set("x[@y='1'][@y='2']/@z", "b")}, domainxml.ErrConflict, ""},
		"made otherwise":             {edits{set("x[@y='1']/@y", "2")}, domainxml.ErrConflict, ""},
		"set and removed":            {edits{set("@type", "b"), remove("@type")}, domainxml.ErrConflict, ""},
		"removed and set":            {edits{remove("name"), set("name", "b")}, domainxml.ErrConflict, ""},
		"set in what is removed":     {edits{set("d/a[2]/c/@x", "b"), remove("d")}, domainxml.ErrConflict, ""},
		"add to what is removed":     {edits{remove("d"), add("d", "<b/>")}, domainxml.ErrConflict, ""},
		"no path":                    {edits{set("", "b")}, nil, "missing"},
		"no operation":               {edits{{Path: "name", Value: "b"}}, nil, "operation"},
		"another operation":          {edits{{Op: "replace", Path: "name"}}, nil, "operation"},
		"no element":                 {edits{add("d", "")}, nil, "no element"},
		"text to add":                {edits{add("d", "a")}, nil, "outside"},
		"two to add":                 {edits{add("d", "<a/><a/>")}, nil, "more than one root"},
		"a comment to add":           {edits{add("d", "<a/><!-- x -->")}, nil, "only one element"},
		"a declaration to add":       {edits{add("d", "<?xml version='1.0'?><a/>")}, nil, "only one element"},
		"half of one":                {edits{add("d", "<a>")}, nil, "ends within"},
		"that ends others":           {edits{add("d", "<a/></d><d>")}, nil, "ends no element"},
		"deeper than may be":         {edits{add("d", strings.Repeat("<a>", 256)+strings.Repeat("</a>", 256))}, nil, "nested"},
		"longer than may be":         {edits{set("name", strings.Repeat("a", 4<<20))}, nil, "more than"},
		"a name that is too long":    {edits{set(strings.Repeat("a", 1025), "b")}, nil, "more than 1024"},
		"NUL":                        {edits{set("name", "a\x00")}, nil, "cannot carry"},
		"NUL in a condition":         {edits{set("x[@y='\x00']", "a")}, domainxml.ErrNotFound, ""},
		"control characters":         {edits{set("@type", "\x1b[2J")}, nil, "cannot carry"},
		"not UTF-8":                  {edits{set("@type", "\xff")}, nil, "not UTF-8"},
		"a surrogate":                {edits{set("@type", "\xed\xa0\x80")}, nil, "not UTF-8"},
		"no character":               {edits{set("name", "\uffff")}, nil, "cannot carry"},
		"NUL to add":                 {edits{add("d", "<a>\x00</a>")}, nil, "cannot carry"},
		"a name that is not UTF-8":   {edits{set("x\xff", "a")}, nil, "not UTF-8"},
		"too many attributes":        {edits{add("d", "<a"+attributes(257)+"/>")}, nil, "more than 256"},
		"entities to add":            {edits{add("d", "<a>&nbsp;</a>")}, nil, "entity"},
		"a document type to add":     {edits{add("d", "<!DOCTYPE a><a/>")}, nil, "only one element"},
		"the text of a made element": {edits{set("x/y/@z", "1"), set("x", "2")}, nil, "has elements"},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustParse(t, doc)
			list := append(edits{set("e/@good", "1"), set("new/element", "2")}, tt.edits...)
			err := d.Apply(list...)
			require.ErrorContains(t, err, "domainxml: ")
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			} else {
				require.ErrorContains(t, err, tt.says)
			}
			require.Equal(t, doc, d.String())
			agrees(t, d, mustFlatten(t, doc))
		})
	}
}

// An edit that changes nothing leaves each byte, however the value is written.
func TestApplyNothing(t *testing.T) {
	const doc = "<domain type = \"kvm\" a='&#x41;&apos;\t'>\r\n<name >a<![CDATA[b]]>&#99;</name ><e></e><f/><g>x<!-- c -->y</g><h>a\r\nb</h>\r\n</domain>"
	d := mustParse(t, doc)
	require.NoError(t, d.Apply())
	require.NoError(t, d.Apply(
		set("@type", "kvm"), set("@a", "A' "), set("name", "abc"), set("e", ""), set("f", ""), set("g", "xy"), set("h", "a\nb"), set("/domain/name", "abc"),
	))
	require.Equal(t, doc, d.String())
}

// Values come back as they were given, wherever they are put.
func TestApplyHostileValues(t *testing.T) {
	for _, v := range []string{
		hostile, "'", `"`, "''\"\"", "\n", "\r", "\r\n", "\t", " ", "]]>", "<!--", "-->", "<?a?>", "&amp;", "&#0;", "</name>",
		"'/><x/><y z='", `"/><x/>`, "\u00a0", "\u0085", "\u2028", "\ufeff", "\U0010ffff", "\x7f", "%s%n", "${x}", "../..", strings.Repeat("é", 10_000),
	} {
		for _, quote := range []string{"'", `"`} {
			d := mustParse(t, strings.ReplaceAll("<domain a='1'>\n  <b>x</b><c d='1'/>\n</domain>", "'", quote))
			paths := []string{"@a", "@new", "b", "b/@new", "c/@d", "e", "f/g/@h"}
			var list edits
			for _, p := range paths {
				list = append(list, set(p, v))
			}
			require.NoError(t, d.Apply(list...), "%q", v)
			for _, p := range paths {
				have, err := d.Get(p)
				require.NoError(t, err)
				require.Equal(t, v, have, p)
			}
			require.Len(t, said(mustFlatten(t, d.String())), 13) // 6 elements, 5 attributes, 2 texts
			text := d.String()
			require.NoError(t, d.Apply(list...))
			require.Equal(t, text, d.String())
		}
	}
}
