package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
)

func TestUsage(t *testing.T) {
	r := call(t.Context(), "", "-h")
	require.Zero(t, r.code)
	golden.Check(t, "usage.txt", r.stdout)
	var all strings.Builder
	for _, v := range verbs() {
		help := call(t.Context(), "", append(strings.Fields(v.name), "-h")...)
		require.Zero(t, help.code, v.name)
		require.Empty(t, help.stderr)
		all.WriteString("$ guestctl " + v.name + " -h\n" + help.stdout + "\n")
	}
	golden.Check(t, "verbs.txt", all.String())
}

func TestMisuse(t *testing.T) {
	m := newMachine(t)
	for _, tt := range []struct {
		problem string
		args    []string
	}{
		{"a verb is required", nil},
		{`"frobnicate" is not a verb`, []string{"frobnicate"}},
		{`"image" is not a verb`, []string{"image"}},
		{"not defined: -frob", []string{"-frob", "list"}},
		{"not defined: -force", []string{"start", "web1", "-force"}},
		{"invalid value", []string{"stop", "web1", "-grace", "soon"}},
		{"start has 0 arguments; it takes: NAME", []string{"start"}},
		{"list has 1 arguments; it takes: none", []string{"list", "web1"}},
		{"create needs -f FILE", []string{"create"}},
		{"suspend needs -reason REASON", []string{"suspend", "web1"}},
		{"-remove needs names, or -all", []string{"orphans", "-remove"}},
		{"-all is for -remove", []string{"orphans", "-all"}},
		{"-all is instead of names", []string{"orphans", "-remove", "-all", "x"}},
		{"neither on nor off", []string{"autostart", "web1", "perhaps"}},
		{"is not KEY=VALUE", []string{"labels", "web1", "a"}},
		{"exec has 1 arguments; it takes: NAME [--] PROGRAM", []string{"exec", "web1"}},
		{"not defined: -l", []string{"exec", "web1", "-l", "ls"}},
		{"-clear removes all labels", []string{"labels", "-clear", "web1", "a=b"}},
		{"-backend xen is not known", []string{"-backend", "xen", "list"}},
		{"-state is for -backend sim", []string{"-backend", "kvm", "list"}},
		{"-uri is for -backend kvm", []string{"-uri", "qemu:///system", "list"}},
		{"needs -state FILE", []string{"-state", "", "list"}},
	} {
		t.Run(tt.problem, func(t *testing.T) {
			r := m.run(tt.args...)
			require.Equal(t, exitUsage, r.code)
			require.Empty(t, r.stdout)
			require.Contains(t, r.stderr, tt.problem)
			require.Regexp(t, `(?m)^guestctl .*-h |^usage: guestctl`, r.stderr)
			require.Equal(t, len(tt.args) == 0, strings.Count(r.stderr, "\n") > 2, "the mistake can be seen")

			r = m.run(append(tt.args, "-json")...)
			require.Equal(t, exitUsage, r.code)
			require.Equal(t, "usage", fromJSON[errorDoc](t, r.stderr).Kind)
		})
	}
}

func TestFormatOf(t *testing.T) {
	for path, want := range map[string]string{
		"a.qcow2": "qcow2", "a.QCOW2": "qcow2", "a.raw": "raw", "/b/a.img": "raw", "a": "", "a.vmdk": "", "qcow2": "",
		"a.tar": "tar", "a.tar.gz": "tar.gz", "a.tgz": "tar.gz", "a.Tar.xz": "tar.xz", "a.txz": "tar.xz", "a.tar.zst": "tar.zst", "a.gz": "",
	} {
		require.Equal(t, want, formatOf(path), path)
	}
}

func TestPlain(t *testing.T) {
	require.Equal(t, "blåbær & <x>", plain("blåbær & <x>"))
	require.Equal(t, `"a\x1b[31m\tb"`, plain("a\x1b[31m\tb"))
	require.Equal(t, "ok\n·[31mred\t", string(harmless([]byte("ok\r\n\x1b[31mred\t"))))
}

func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := &bar{w: &out, name: "disk"}
	b.show(provision.Progress{Step: "open"})
	for done := int64(0); done <= 1000; done += 5 {
		b.show(provision.Progress{Done: done, Total: 1000})
	}
	b.end()
	require.True(t, strings.HasSuffix(out.String(), "\rdisk ["+strings.Repeat("#", barWidth)+"] 100%\n"), out.String())
	require.Equal(t, 100, strings.Count(out.String(), "\r"), "one line for each percent")
}
