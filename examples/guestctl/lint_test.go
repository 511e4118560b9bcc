package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/domainxml"
	"github.com/guestforge/provision/internal/golden"
)

// only are arguments for lint that switch off all rules but some, so that what
// is tested here does not change with each new rule.
func only(ids ...string) []string {
	var off []string
	for _, r := range domainxml.Rules() {
		if !slices.Contains(ids, r.ID) {
			off = append(off, r.ID)
		}
	}
	return []string{"lint", "-off", strings.Join(off, ",")}
}

// some are the rules that the documents under testdata/lint are about.
func some() []string { return only("disk-cache-unsafe", "nic-model") }

// inLint is a document for lint; it is named as people do it, by a relative path.
func inLint(name string) string { return "testdata/lint/" + name }

func runLint(t *testing.T, args ...string) result {
	t.Helper()
	return call(t.Context(), "", args...)
}

// The forms are tested with findings and rules of their own: the wording of the
// real ones is not what is tested here.
func TestLintForms(t *testing.T) {
	rules := []domainxml.Rule{
		{ID: "disk-bad", Severity: domainxml.SeverityError, Title: "a bad disk", Why: "Data is lost.", Source: "https://example.net/disks#bad"},
		{ID: "nic-slow", Severity: domainxml.SeverityWarning, Title: "a slow NIC", Why: "It costs <time> & money.", Source: "the manual, page 3"},
		{ID: "odd-name", Severity: domainxml.SeverityInfo, Title: "an odd name", Why: "Nobody can type it.", Source: "https://example.net/names"},
	}
	finding := func(source string, rule, line int, path, message string) located {
		r := rules[rule]
		return located{source, domainxml.Finding{Rule: r.ID, Severity: r.Severity, Path: path, Line: line, Column: 5, Message: message, Why: r.Why}}
	}
	r := report{uri: fileURI, documents: 3, found: []located{
		finding("web 1.xml", 2, 2, "/domain/name", "the name is \x1b[31m"),
		finding("web 1.xml", 1, 9, "/domain/devices/interface[1]", "the NIC is slow"),
		finding("web 1.xml", 0, 13, "/domain/devices/disk", "the disk is bad"),
		finding("web 1.xml", 1, 18, "/domain/devices/interface[2]", "the NIC is slower"),
		finding("-", 1, 7, "/domain/devices/interface", "the NIC is slow"),
	}}
	r.found[2].Fix = []domainxml.Edit{domainxml.Set("/domain/devices/disk/@good", "yes")}
	r.found[4].Caution = "Ask its owner."
	r.failed = failures{{"torn.xml", &domainxml.SyntaxError{Line: 2, Column: 9, Problem: "it is torn"}, true}}

	var out bytes.Buffer
	golden.Check(t, "lint/want.txt", r.text()+r.summary(domainxml.SeverityInfo))
	require.NoError(t, writeJSON(&out, r.found))
	golden.Check(t, "lint/want.json", out.String())
	out.Reset()
	require.NoError(t, writeJSON(&out, r.sarif(rules)))
	golden.Check(t, "lint/want.sarif", out.String())
}

// Places are those of the file, and the worst comes first.
func TestLintText(t *testing.T) {
	r := runLint(t, append(some(), inLint("web1.xml"), inLint("clean.xml"))...)
	require.Equal(t, exitFindings, r.code, r.stderr)
	require.Regexp(t, `(?s)^testdata/lint/web1.xml:13:5: error: .* \[disk-cache-unsafe\]\n    .*`+
		`\ntestdata/lint/web1.xml:9:5: warning: .* \[nic-model\]\ntestdata/lint/web1.xml:18:53: warning: .* \[nic-model\]\n    .*`+
		`\n\n1 error, 2 warnings, 0 infos in 2 documents\n$`, r.stdout)
}

// The names of the fields are part of what scripts depend on.
func TestLintJSON(t *testing.T) {
	r := runLint(t, append(some(), "-json", inLint("web1.xml"))...)
	require.Equal(t, exitFindings, r.code)
	require.Empty(t, r.stderr)
	all := fromJSON[[]map[string]any](t, r.stdout)
	require.Len(t, all, 3)
	require.Equal(t, inLint("web1.xml"), all[0]["source"])
	for _, name := range []string{"rule", "severity", "path", "line", "column", "message", "why"} {
		require.Contains(t, all[0], name)
	}
	r = runLint(t, append(some(), "-json", inLint("clean.xml"))...)
	require.Zero(t, r.code)
	require.Equal(t, "[]\n", r.stdout)
}

func TestLintSeverity(t *testing.T) {
	for _, tt := range []struct {
		severity, summary string
		lines             int
	}{
		{"info", "1 error, 2 warnings, 0 infos in 1 document\n", 3},
		{"warning", "1 error, 2 warnings in 1 document\n", 3},
		{"error", "1 error in 1 document\n", 1},
	} {
		r := runLint(t, append(some(), "-severity", tt.severity, inLint("web1.xml"))...)
		require.Equal(t, exitFindings, r.code)
		require.True(t, strings.HasSuffix(r.stdout, "\n\n"+tt.summary), r.stdout)
		require.Equal(t, tt.lines, strings.Count(r.stdout, "web1.xml:"))
	}
	r := runLint(t, append(only("nic-model"), "-severity", "error", inLint("web1.xml"))...)
	require.Equal(t, result{stdout: "0 errors in 1 document\n"}, r)
}

func TestLintExitCodes(t *testing.T) {
	m := newMachine(t)
	absent := filepath.Join(m.dir, "absent.xml")
	for _, tt := range []struct {
		name  string
		files []string
		code  int
		kind  string
	}{
		{"clean", []string{inLint("clean.xml")}, exitDone, ""},
		{"findings", []string{inLint("clean.xml"), inLint("web1.xml")}, exitFindings, ""},
		{"malformed", []string{inLint("torn.xml"), inLint("clean.xml")}, exitInvalid, "invalid"},
		{"malformed is worse than findings", []string{inLint("torn.xml"), inLint("web1.xml")}, exitInvalid, "invalid"},
		{"no domain", []string{m.file("net.xml", "<network/>")}, exitInvalid, "invalid"},
		{"empty", []string{m.file("empty.xml", "")}, exitInvalid, "invalid"},
		{"too large", []string{m.file("large.xml", strings.Repeat(" ", maxRead+1))}, exitInvalid, "invalid"},
		{"unreadable", []string{absent}, exitFailed, "failed"},
		{"unreadable is the worst", []string{inLint("torn.xml"), absent, inLint("web1.xml")}, exitFailed, "failed"},
		{"a directory", []string{m.dir}, exitFailed, "failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := runLint(t, append(some(), tt.files...)...)
			require.Equal(t, tt.code, r.code, r.stderr)
			require.Contains(t, r.stdout, " in ", "the others are judged")
			if tt.kind == "" {
				require.Empty(t, r.stderr)
				return
			}
			require.True(t, strings.HasPrefix(r.stderr, "guestctl: "), r.stderr)
			r = runLint(t, slices.Concat([]string{"-json"}, some(), tt.files)...)
			require.Equal(t, tt.code, r.code)
			require.Equal(t, tt.kind, fromJSON[errorDoc](t, r.stderr).Kind)
			fromJSON[[]located](t, r.stdout)
		})
	}
}

// A whole tree of documents is judged in one call.
func TestLintManyFiles(t *testing.T) {
	const n = 5000
	r := runLint(t, append(some(), slices.Repeat([]string{inLint("clean.xml")}, n)...)...)
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, "0 errors, 0 warnings, 0 infos in 5000 documents\n", r.stdout)
}

func TestLintUnknownRule(t *testing.T) {
	for _, args := range [][]string{{inLint("clean.xml")}, {"-fix", inLint("clean.xml")}, {inLint("absent.xml")}} {
		r := runLint(t, append([]string{"lint", "-off", "nic-model, no-such-rule"}, args...)...)
		require.Equal(t, exitUsage, r.code)
		require.Empty(t, r.stdout)
		require.Contains(t, r.stderr, `-off: there is no rule "no-such-rule"`)
	}
}

func TestLintMisuse(t *testing.T) {
	for problem, args := range map[string][]string{
		"-fix takes one FILE, and here are 0": {"-fix"},
		"-fix takes one FILE, and here are 2": {"-fix", "a", "b"},
		"exclude each other":                  {"-sarif", "-json", "a"},
		"-rules goes without":                 {"-rules", "a"},
		"none of error, warning and info":     {"-severity", "fatal", "a"},
		"no version as 9.0.0":                 {"-libvirt", "9.0", "a"},
		`"nine.0.0" for flag -libvirt`:        {"-libvirt", "nine.0.0", "a"},
		`"9.1000.0" for flag -libvirt`:        {"-libvirt", "9.1000.0", "a"},
	} {
		r := runLint(t, append([]string{"lint"}, args...)...)
		require.Equal(t, exitUsage, r.code, problem)
		require.Contains(t, r.stderr, problem)
		require.Empty(t, r.stdout)
	}
}

func TestLintStandardInput(t *testing.T) {
	r := call(t.Context(), "<domain type='kvm'><devices><interface type='bridge'><model type='e1000'/></interface></devices></domain>",
		append(only("nic-model"), "-")...)
	require.Zero(t, r.code, r.stderr)
	require.True(t, strings.HasPrefix(r.stdout, "-:1:29: warning: the model is e1000 [nic-model]\n"), r.stdout)
	r = call(t.Context(), "<domain", "lint", "-")
	require.Equal(t, exitInvalid, r.code)
	require.Contains(t, r.stderr, "guestctl: -:1:")
}

// What a document says must not reach a terminal as it is.
func TestLintIsHarmless(t *testing.T) {
	r := call(t.Context(), "<domain type='kvm'><devices><interface type='bridge'><model type='&#x9b;31m&#10;e1000'/></interface></devices></domain>",
		append(only("nic-model"), "-")...)
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, `\u009b31m\ne1000`)
	require.NotContains(t, r.stdout, "\u009b")
}

func TestLintOptions(t *testing.T) {
	r := runLint(t, append(only("nic-filter"), "-json", "-filter", "ours", "-guaranteed", "-libvirt", "9.0.0", inLint("web1.xml"))...)
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, "ours", fromJSON[[]located](t, r.stdout)[0].Fix[0].Value)
	v, err := parseVersion("9.12.3")
	require.NoError(t, err)
	require.EqualValues(t, 9_012_003, v)
	for _, packaged := range []string{"9.12.3-4+deb12u2", "9.12.3+git1"} {
		v, err = parseVersion(packaged)
		require.NoError(t, err)
		require.EqualValues(t, 9_012_003, v)
	}
}

// What needs no caution is set right, and nothing else; a second time changes
// nothing. So it is for each rule, whatever others have to say of its example.
func TestLintFix(t *testing.T) {
	fixes := 0
	for _, rule := range domainxml.Rules() {
		text := rule.Fails
		if !strings.HasPrefix(text, "<domain") {
			text = "<domain type='kvm'>" + text + "</domain>"
		}
		before := fromJSON[[]located](t, call(t.Context(), text, append(only(rule.ID), "-json", "-")...).stdout)
		once := call(t.Context(), text, append(only(rule.ID), "-json", "-fix", "-")...)
		require.NotEmpty(t, once.stdout, "%s: %s", rule.ID, once.stderr)
		left := fromJSON[[]located](t, once.stderr)
		if slices.ContainsFunc(before, func(f located) bool { return len(f.Fix) > 0 && f.Caution == "" }) {
			require.Less(t, len(left), len(before), rule.ID)
			require.NotEqual(t, text, once.stdout, rule.ID)
			fixes++
		} else {
			require.Len(t, left, len(before), rule.ID)
			require.Equal(t, text, once.stdout, rule.ID)
		}
		all := call(t.Context(), text, "lint", "-fix", "-")
		require.NotEmpty(t, all.stdout, "%s: %s", rule.ID, all.stderr)
		require.Equal(t, all.stdout, call(t.Context(), all.stdout, "lint", "-fix", "-").stdout, rule.ID)
	}
	require.Positive(t, fixes)

	text, err := os.ReadFile(inLint("web1.xml"))
	require.NoError(t, err)
	r := runLint(t, append(only("nic-model"), "-fix", inLint("web1.xml"))...)
	require.Zero(t, r.code)
	require.Equal(t, string(text), r.stdout)
	require.Contains(t, r.stderr, "0 errors, 2 warnings, 0 infos in 1 document\n")

	// With a caution only when asked for, and only what is bad enough.
	r = runLint(t, append(some(), "-fix-all", "-severity", "error", inLint("web1.xml"))...)
	require.Zero(t, r.code)
	require.Contains(t, r.stdout, "cache='none'")
	require.Contains(t, r.stdout, "e1000")
	require.Regexp(t, `^testdata/lint/web1.xml: fixed: .* \[disk-cache-unsafe\]\n0 errors in 1 document\n$`, r.stderr)
	r = runLint(t, append(some(), "-fix-all", inLint("web1.xml"))...)
	require.NotContains(t, r.stdout, "e1000")
	require.Equal(t, 3, strings.Count(r.stderr, ": fixed: "))

	bad := runLint(t, "lint", "-fix", inLint("torn.xml"))
	require.Equal(t, exitInvalid, bad.code)
	require.Empty(t, bad.stdout)
	require.Contains(t, bad.stderr, "guestctl: testdata/lint/torn.xml:2:")
	require.Equal(t, exitFailed, runLint(t, "lint", "-fix", inLint("absent.xml")).code)
}

// A fix that cannot be made is named, with the reason; the others are made.
func TestLintNotFixed(t *testing.T) {
	const text = "<domain type='kvm'><devices><disk type='file'><driver cache='unsafe'/><driver cache='unsafe'/>" +
		"<source file='/a'/><target dev='vda' bus='virtio'/></disk></devices></domain>"
	r := call(t.Context(), text, "lint", "-fix-all", "-")
	require.Contains(t, r.stdout, "<acpi/>")
	require.Contains(t, r.stdout, "cache='unsafe'")
	require.Regexp(t, `(?m)^-: not fixed: /domain/devices/disk: .* \[disk-cache-unsafe\]: .*names 2 elements`, r.stderr)
	require.NotContains(t, call(t.Context(), text, "lint", "-json", "-fix-all", "-").stderr, "not fixed:")
}

func TestLintRules(t *testing.T) {
	r := runLint(t, "lint", "-rules")
	require.Zero(t, r.code)
	require.Contains(t, r.stdout, "disk-cache-unsafe (error): ")
	require.Contains(t, r.stdout, "    Fails:  <devices>")
	r = runLint(t, "lint", "-rules", "-json")
	require.Zero(t, r.code)
	require.Len(t, fromJSON[[]ruleDoc](t, r.stdout), len(domainxml.Rules()))
}

func TestSARIF(t *testing.T) {
	require.Equal(t, "a/b%20c.xml", fileURI("a/b c.xml"))
	require.Equal(t, "./a:b.xml", fileURI("a:b.xml"))
	require.Equal(t, "file:///a/%C3%A5.xml", fileURI("/a/å.xml"))
	require.Equal(t, "libvirt-domain:web%201%2F%C3%A5", domainURI("web 1/å"))

	r := runLint(t, "lint", "-sarif", inLint("web1.xml"))
	var log sarifLog
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &log))
	run := log.Runs[0]
	require.Len(t, run.Tool.Driver.Rules, len(domainxml.Rules()))
	require.True(t, run.Invocations[0].Successful)
	for _, f := range run.Results {
		require.Equal(t, f.RuleID, run.Tool.Driver.Rules[f.RuleIndex].ID)
	}
}

func TestLintNeedsNoHost(t *testing.T) {
	for _, args := range [][]string{{"lint", "-rules"}, append(some(), inLint("clean.xml"))} {
		r := call(t.Context(), "", append([]string{"-uri", "qemu+unix:///system?socket=/nowhere/at/all", "-lockdir", "/nowhere"}, args...)...)
		require.Zero(t, r.code, r.stderr)
	}
	r := call(t.Context(), "", "-uri", "qemu+unix:///system?socket=/nowhere/at/all", "lint")
	require.Equal(t, exitUnavailable, r.code)
	require.Empty(t, r.stdout, "a host that does not answer is not clean")
	require.Equal(t, exitUnsupported, newMachine(t).run("lint").code)
}
