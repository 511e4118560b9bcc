package kvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/guestforge/provision"
	"github.com/guestforge/provision/internal/golden"
)

// seedFiles are the files that a seed has to hold: empty ones are left out.
func seedFiles(s *provision.Spec) map[string]string {
	files := map[string]string{}
	for _, f := range seedConfig(testID, s).Files() {
		if len(f.Data) > 0 {
			files[f.Name] = string(f.Data)
		}
	}
	return files
}

// readSeed reads a seed with the library that made it.
func readSeed(t *testing.T, image []byte) map[string]string {
	t.Helper()
	vol, err := fat12.Read(&memory{data: image}, int64(len(image)), 0, 512)
	require.NoError(t, err)
	require.Equal(t, "CIDATA", strings.TrimSpace(vol.Label()))
	requireNoTimes(t, image)
	entries, err := vol.ReadDir(".")
	require.NoError(t, err)
	files := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		f, err := vol.OpenFile("/"+e.Name(), os.O_RDONLY)
		require.NoError(t, err)
		data := make([]byte, info.Size()) // in one Read: go-diskfs 1.9.4 errs at offsets within a cluster
		n, err := f.Read(data)
		require.True(t, err == nil || errors.Is(err, io.EOF))
		require.Len(t, data, n)
		files[e.Name()] = string(data)
	}
	return files
}

// requireNoTimes looks at the entries of the root directory, that of the label
// included: none may hold the time of the call.
func requireNoTimes(t *testing.T, image []byte) {
	t.Helper()
	u16 := binary.LittleEndian.Uint16
	at := 512 * (int(u16(image[14:])) + 2*int(u16(image[22:]))) // behind reserved sectors and both FATs
	n := 0
	for e := image[at:]; e[0] != 0; e = e[32:] {
		if e[11] == 0x0f { // part of a long name
			continue
		}
		n++
		for _, date := range []int{16, 18, 24} { // created, accessed, modified
			require.Equal(t, uint16(0x21), u16(e[date:]), "%.11s is not of 1980-01-01", e)
		}
		require.Equal(t, [2]uint16{}, [2]uint16{u16(e[14:]), u16(e[22:])}, "%.11s", e)
	}
	require.GreaterOrEqual(t, n, 3)
}

// mtools reads a seed with another program, where it is installed.
func mtools(t *testing.T, image []byte) map[string]string {
	t.Helper()
	if _, err := exec.LookPath("mcopy"); err != nil {
		return readSeed(t, image)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "seed.img"), image, 0o600))
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, append([]string{"-i", "seed.img"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "MTOOLSRC=/dev/null", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		return string(out)
	}
	require.Contains(t, run("mdir", "::"), "Volume in drive : is CIDATA")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "out"), 0o700))
	run("mcopy", "-s", "::", "out")
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "out"), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		files[e.Name()] = string(text)
		return err
	}))
	return files
}

func TestSeed(t *testing.T) {
	eachSpec(t, func(t *testing.T, name string, s *provision.Spec) {
		image, err := seed(testID, s)
		require.NoError(t, err)
		again, err := seed(testID, s)
		require.NoError(t, err)
		require.True(t, bytes.Equal(image, again), "two calls, two images")
		want := seedFiles(s)
		require.Empty(t, cmp.Diff(want, readSeed(t, image)))
		require.Empty(t, cmp.Diff(want, mtools(t, image)))
		for _, file := range []string{"meta-data", "network-config", "vendor-data"} {
			if text, ok := want[file]; ok {
				golden.Check(t, "seed/"+name+"."+file, text)
			}
		}
	})
}

// Sizes at which the number of clusters, or of image megabytes, changes.
func TestSeedSizes(t *testing.T) {
	for _, size := range []int{1, 511, 512, 513, 64 << 10, 512<<10 - 1, 512 << 10} {
		s := specs()["user"]
		s.UserData = pattern(size)
		image, err := seed(testID, s)
		require.NoError(t, err)
		require.Zero(t, len(image)%512)
		require.LessOrEqual(t, len(image), 2<<20)
		want := seedFiles(s)
		require.Len(t, want["user-data"], size)
		for _, have := range []map[string]string{readSeed(t, image), mtools(t, image)} {
			require.True(t, maps.Equal(want, have), "user data of %d bytes", size)
		}
	}
}

// Many keys make a large seed: the number of keys in a Spec has no bound.
func TestSeedOfManyKeys(t *testing.T) {
	s := specs()["user"]
	for i := range 4000 {
		s.Access.AuthorizedKeys = append(s.Access.AuthorizedKeys, fmt.Sprintf("%s %d %s", secretKey, i, strings.Repeat("x", 1000)))
	}
	image, err := seed(testID, s)
	require.NoError(t, err)
	require.Greater(t, len(image), 4<<20)
	require.True(t, maps.Equal(seedFiles(s), mtools(t, image)))
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + i>>16)
	}
	return b
}

// A secret stands in the file that carries it, and in no other.
func TestSeedKeepsSecretsApart(t *testing.T) {
	s := specs()["user"]
	s.NICs, s.DNS = specs()["several-addresses"].NICs, specs()["several-addresses"].DNS
	for name, text := range seedFiles(s) {
		for file, secret := range map[string]string{"user-data": "USERDATAsecret", "vendor-data": "HASHsecret"} {
			require.Equal(t, name == file, strings.Contains(text, secret), "%s in %s", secret, name)
		}
		require.Equal(t, name == "vendor-data", strings.Contains(text, "KEYsecret"), name)
	}
	require.NotContains(t, seedFiles(s)["meta-data"], "web1.")
}

// What is left out is left out, not left empty: an empty network-config would
// switch the network off.
func TestSeedLeavesOut(t *testing.T) {
	require.Equal(t, []string{"meta-data", "user-data"}, slices.Sorted(maps.Keys(seedFiles(specs()["plain"]))))
	require.Equal(t, "#cloud-config\n{}\n", seedFiles(specs()["plain"])["user-data"])
	for _, name := range []string{"plain", "sixteen-nics"} {
		require.Empty(t, seedFiles(specs()[name])["network-config"], name)
	}
}

// FuzzSeed: any user data comes back to the byte, from both readers of FAT.
func FuzzSeed(f *testing.F) {
	f.Add([]byte("#cloud-config\n"), "", uint16(0))
	f.Add([]byte{0}, "admin", uint16(1))
	f.Add([]byte("\xff\x1b\r\n"), "root", uint16(64<<10-1))
	f.Fuzz(func(t *testing.T, data []byte, user string, repeat uint16) {
		if len(data) > 0 {
			data = bytes.Repeat(data, 1+min(int(repeat), 64<<10/len(data)))
		}
		data = data[:min(len(data), 64<<10)]
		s := specs()["user"]
		s.UserData = data
		if s.Access.User = user; s.Validate() != nil {
			s.Access.User = "admin" // no Spec with such a user comes this far
		}
		require.NoError(t, s.Validate())
		if s.Validate() != nil {
			s.Access.User = "root" // no other Spec gets here
		}
		image, err := seed(testID, s)
		require.NoError(t, err)
		have := readSeed(t, image)
		if len(data) > 0 {
			require.True(t, have["user-data"] == string(data))
		}
		var config map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(have["vendor-data"]), &config))
	})
}
