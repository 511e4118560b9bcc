package hostfs_test

import (
	"bytes"
	"compress/gzip"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/guestforge/provision/internal/hostfs"
)

func TestRead(t *testing.T) {
	files := fstest.MapFS{"proc/swaps": {Data: []byte(" none \n")}, "huge": {Data: make([]byte, 5<<20)}}
	require.Equal(t, " none \n", string(hostfs.Read(files, "proc/swaps")))
	require.Equal(t, "none", hostfs.Text(files, "proc/swaps"))
	require.Empty(t, hostfs.Read(files, "proc"), "a directory")
	require.Empty(t, hostfs.Text(files, "proc/none"))
	require.Len(t, hostfs.Read(files, "huge"), 4<<20)
}

func TestUnzipped(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("CONFIG_VETH=y\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, "CONFIG_VETH=y\n", string(hostfs.Unzipped(packed.Bytes())))
	require.Equal(t, "CONFIG_VETH=m\n", string(hostfs.Unzipped([]byte("CONFIG_VETH=m\n"))))
	require.Empty(t, hostfs.Unzipped(packed.Bytes()[:packed.Len()-4]), "cut short")
}
