package unpack

import (
	"cmp"
	"math"
)

// Format of an archive. It is stated by the caller and never guessed.
type Format string

// Formats of archives.
const (
	Tar     Format = "tar"
	TarGzip Format = "tar.gz"
	TarXz   Format = "tar.xz"
	TarZstd Format = "tar.zst"
)

// Devices says what becomes of device nodes. An unprivileged guest can use none
// of its root's, and liblxc mounts a /dev of its own.
type Devices int

// Policies for device nodes. An overlay whiteout (character device 0:0) is
// refused by all of them.
const (
	// DevicesSkipDev leaves out nodes below dev/, which debootstrap makes, and
	// refuses others with [ErrDevice].
	DevicesSkipDev Devices = iota
	// DevicesSkip leaves out all. Roots with daemons in a chroot need it.
	DevicesSkip
	// DevicesKeep makes them.
	DevicesKeep
)

// Defaults of [Options], and bounds that have no option.
const (
	DefaultMaxBytes   = 64 << 30
	DefaultMaxEntries = 2 << 20

	maxDepth   = 256       // directories; os.RemoveAll holds a descriptor for each
	maxPath    = 4095      // bytes, PATH_MAX less the NUL
	maxName    = 255       // bytes, NAME_MAX
	maxAttr    = 64 << 10  // bytes, XATTR_SIZE_MAX
	maxPending = 256 << 20 // bytes kept in memory about directories
	maxWindow  = 128 << 20 // bytes of memory that a compressed stream may ask for
	maxNames   = 10        // examples in reports and errors
	perEntry   = 8 << 10   // bytes of a tar stream that are not content, per entry
)

// Options of [Archive]. The zero value is usable.
type Options struct {
	// MaxBytes bounds the sizes of all files together, holes included, and with
	// MaxEntries the decompressed stream. 0 means [DefaultMaxBytes].
	MaxBytes int64
	// MaxEntries bounds the entries, with the directories that are implied by a
	// name. 0 means [DefaultMaxEntries].
	MaxEntries int

	Devices Devices

	// StripSetID takes set-user-id and set-group-id bits and capabilities off
	// files. Guests without sudo and su are rarely wanted.
	StripSetID bool
	// AnyTree accepts a tree that does not look like a root file system.
	AnyTree bool

	// Progress, if not nil, is called from the goroutine of the call after each
	// 1024 entries or 8 MiB, and at the end, with what was done so far.
	Progress func(entries int, bytes int64)
}

func (o Options) withDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.MaxEntries = cmp.Or(o.MaxEntries, DefaultMaxEntries)
	return o
}

// maxStream bounds what an archive may decompress to, so that one of nothing but
// headers ends too.
func (o Options) maxStream() int64 {
	extra := int64(min(o.MaxEntries, math.MaxInt32))*perEntry + 1<<20
	return min(o.MaxBytes, math.MaxInt64-extra) + extra
}
