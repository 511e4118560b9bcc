package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		input                   []string
		passed, failed, skipped int
		says                    string
	}{
		{"pass", []string{
			`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}`,
			`{"Action":"pass","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p","Elapsed":1.5}`,
		}, 1, 0, 0, "pass     1.5 s  p\n"},
		{"fail", []string{
			`{"Action":"output","Package":"p","Test":"TestA/b","Output":"reason\n"}`,
			`{"Action":"fail","Package":"p","Test":"TestA/b"}`, `{"Action":"fail","Package":"p"}`,
		}, 0, 1, 0, "FAIL p TestA/b\nreason\n"},
		{"skip", []string{
			`{"Action":"output","Package":"p","Test":"TestA","Output":"no need\n"}`,
			`{"Action":"skip","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p"}`,
		}, 0, 0, 1, "SKIP p TestA\nno need\n"},
		{"attribute", []string{
			`{"Action":"attr","Package":"p","Test":"TestA","Key":"matrix","Value":"verb  none"}`,
			`{"Action":"pass","Package":"p","Test":"TestA"}`,
		}, 1, 0, 0, "TestA matrix: verb  none\n"},
		{"no tests", []string{`{"Action":"skip","Package":"p"}`}, 0, 0, 0, ""},
		{"does not build", []string{
			`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: wrong\n"}`,
			`{"ImportPath":"p","Action":"build-fail"}`, `{"Action":"fail","Package":"p"}`,
		}, 0, 1, 0, "p.go:1: wrong\n"},
		{"ends without a verdict", []string{
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: x\n"}`, `{"Action":"fail","Package":"p"}`,
		}, 0, 1, 0, "panic: x\n"},
		{"not JSON", []string{"go: cannot do it"}, 0, 0, 0, "go: cannot do it\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := summary{out: &out, output: map[string][]string{}}
			require.NoError(t, s.read(strings.NewReader(strings.Join(tt.input, "\n"))))
			require.Equal(t, []int{tt.passed, tt.failed, tt.skipped}, []int{s.passed, s.failed, s.skipped})
			require.Contains(t, out.String(), tt.says)
			require.NotContains(t, out.String(), "noise")
		})
	}
}
