package unpack_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/unpack"
)

// BenchmarkArchive unpacks 3000 files of 80 MB in 300 directories, which is
// about a third of a small Debian, beside GNU tar.
func BenchmarkArchive(b *testing.B) {
	text := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = "etaoin shrdlu"[random.IntN(13)]
	}
	data := archiveOf(b, func(m *maker) {
		m.file("bin/sh", "")
		for i := range 3000 {
			at := random.IntN(len(text) / 2)
			m.file(fmt.Sprintf("usr/share/%d/%d", i/10, i), string(text[at:at+random.IntN(54000)]))
		}
		m.end()
	})
	for _, c := range []struct {
		format unpack.Format
		packer []string
		flag   string
	}{
		{unpack.Tar, []string{"cat"}, "--no-auto-compress"},
		{unpack.TarGzip, []string{"gzip", "-1"}, "--gzip"},
		{unpack.TarXz, []string{"xz", "-1"}, "--xz"},
		{unpack.TarZstd, []string{"zstd", "-q"}, "--zstd"},
	} {
		packed := piped(b, data, c.packer...)
		each := func(name string, run func(dir string) error) {
			b.Run(name+"/"+string(c.format), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					b.StopTimer()
					dir, err := os.MkdirTemp(b.TempDir(), "")
					require.NoError(b, err)
					b.StartTimer()
					require.NoError(b, run(dir))
					b.StopTimer()
					require.NoError(b, os.RemoveAll(dir))
					b.StartTimer()
				}
			})
		}
		each("ours", func(dir string) error {
			_, err := unpack.Archive(b.Context(), dir, bytes.NewReader(packed), c.format, unpack.Options{})
			return err
		})
		each("tar", func(dir string) error {
			cmd := exec.CommandContext(b.Context(), "tar", "-C", dir, "--xattrs", "-x", c.flag)
			cmd.Stdin = bytes.NewReader(packed)
			return cmd.Run()
		})
	}
}
