package provision_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/guestforge/provision"
)

// What is read can be written and read back; an error comes without Specs.
func FuzzManifest(f *testing.F) {
	design, err := os.ReadFile("testdata/manifest.yaml")
	require.NoError(f, err)
	for _, s := range []string{
		string(design), "name: a\n---\nname: b\n", "{\"name\": \"a\"}", "nics: [&n {bridge: br0}, *n]", "userData: base64:H4sA/w==",
		"userData: |2\n   a\n", "userData: \"\\n a\\t\\x01\\u2028\"", "labels: {\"\": \" a \", <<: b}", "cpu: {limit: .nan}", "cpu: {limit: -0.0}",
		"key: !!str ~", "key: \"~\"", "labels: {=: =, \"<<\": \"<<\"}", "cpu: {count: 0x10}", "limits: {processes: 18446744073709551615}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		specs, err := provision.ReadManifest(strings.NewReader(text))
		if err != nil {
			require.Nil(t, specs)
			require.NotEmpty(t, mistakes(t, err))
			return
		}
		require.NotEmpty(t, specs)
		for _, s := range specs {
			_ = s.Validate() // must not panic
			if _, ok := s.Labels["<<"]; ok {
				continue // yaml writes it without quotes; Validate refuses it anyway
			}
			out, err := yaml.Marshal(s)
			require.NoError(t, err)
			again, err := provision.ReadManifest(strings.NewReader(string(out)))
			require.NoError(t, err, "%s", out)
			require.Len(t, again, 1)
			require.Empty(t, cmp.Diff(s, again[0], sameSpec), "%s", out)
		}
	})
}

// A Spec and its JSON form are the same Spec.
func FuzzSpecJSON(f *testing.F) {
	design, err := json.Marshal(designSpec())
	require.NoError(f, err)
	for _, s := range []string{
		string(design), `{}`, `{"nics": [{"antiSpoof": null}, {"antiSpoof": false}]}`, `{"memory": {"size": 4096}}`, `{"userData": "base64:AP8="}`,
		`{"userData": "base64:YmFzZTY0Og=="}`, `{"labels": {"a": "\u0000\ud800"}}`, `{"cpu": {"limit": 1e-7}}`, `{"dns": {"servers": ["fe80::1%x"]}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again provision.Spec
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		out, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(out, &again), "%s", out)
		require.Empty(t, cmp.Diff(s, again, sameSpec), "%s", out)
	})
}
