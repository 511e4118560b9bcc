package hostnet

// bucket is the parameters of a tbf queue (tc-tbf(8)), in bytes.
type bucket struct {
	rate  uint64 // per second
	burst uint64 // what may go at once
	limit uint64 // what waits, beyond which frames are dropped
}

// Bounds of a bucket. The kernel drops frames that are larger than the burst, and
// keeps both sizes in 32 bits.
const (
	minBurst  = 16 << 10 // holds frames of 9000 bytes
	maxBucket = 1 << 30
	frameHead = 18 // Ethernet, with a VLAN tag
)

// bucketFor lets 10 ms go at once and 50 ms wait: short enough for calls beside a
// download, long enough for TCP to reach the rate.
func bucketFor(bits uint64, mtu int) bucket {
	b := bucket{rate: bits / 8}
	b.burst = min(max(b.rate/100, minBurst, uint64(mtu+frameHead)), maxBucket)
	b.limit = min(max(b.rate/20, 2*b.burst), maxBucket)
	return b
}
