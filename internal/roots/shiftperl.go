//go:build linux

package roots

// shiftPerl does what shift does, for hosts whose mount(8) cannot
// (X-mount.idmap came with util-linux 2.39).
const shiftPerl = `# Mounts a tree at another place, with attributes of mount_setattr and ids shifted:
# 0 to 65535 there are BASE to BASE+65535 here.
use strict;
use warnings;
my ($from, $to, $base, $attributes) = @ARGV;
my %numbers = (x86_64 => 272, aarch64 => 97); # unshare(2)
my ($open_tree, $move_mount, $mount_setattr) = (428, 429, 442); # the same on both
use POSIX ();
my $machine = (POSIX::uname())[4];
my $unshare = $numbers{$machine} or die "no system call numbers for $machine\n";

pipe(my $is_done, my $done) or die "pipe: $!\n";
pipe(my $is_ready, my $ready) or die "pipe: $!\n";
my $child = fork() // die "fork: $!\n";
if (!$child) {
	close $done;
	close $is_ready;
	syscall($unshare, 0x10000000) == 0 or die "a user namespace: $!\n"; # CLONE_NEWUSER
	syswrite $ready, "x";
	sysread $is_done, my $byte, 1; # ends with the parent
	POSIX::_exit(0);
}
close $ready;
sysread($is_ready, my $byte, 1) or die "the child made no user namespace\n";
for my $map ("uid_map", "gid_map") {
	open my $f, ">", "/proc/$child/$map" or die "$map: $!\n";
	syswrite $f, "0 $base 65536\n" or die "$map: $!\n";
}
open my $ns, "<", "/proc/$child/ns/user" or die "ns/user: $!\n";
close $done;
waitpid $child, 0;

my $empty = "\0";
# AT_FDCWD; OPEN_TREE_CLONE, O_CLOEXEC, AT_SYMLINK_NOFOLLOW
my $tree = syscall($open_tree, -100, $from, 1 | 02000000 | 0x100);
$tree >= 0 or die "open_tree $from: $!\n";
# struct mount_attr: set, clear, propagation, descriptor.
my $attr = pack "QQQQ", $attributes, 0, 0, fileno $ns;
syscall($mount_setattr, $tree, $empty, 0x1000, $attr, length $attr) == 0 # AT_EMPTY_PATH
	or die "mount_setattr $from (a file system without idmapped mounts?): $!\n";
syscall($move_mount, $tree, $empty, -100, $to, 4) == 0 # MOVE_MOUNT_F_EMPTY_PATH
	or die "move_mount $to: $!\n";
`
