// Package unpack makes the tree of a root file system from an archive, and does not
// trust it: every entry is checked before it is made.
//
// # What is promised
//
// Nothing outside the destination is read or changed. A path is walked one
// component at a time from a descriptor of the destination, with O_NOFOLLOW: no
// symbolic link is ever followed, not even one that stays inside. (os.Root
// follows those, and can make neither FIFOs nor attributes.) The destination
// must be empty and must not be reachable by others while it is filled: keep it
// in a directory of mode 0700.
//
// The tree is stored unshifted: user 0 of the archive is user 0 on disk, and
// set-id bits are real. It is for a directory that no other user can enter, or
// for a mount with nosuid and nodev.
//
// # Rules for entries
//
//   - Names: leading "/" and "./" are cut off; ".." is refused ([ErrName]), and so
//     is what is deeper or longer than the kernel or a later removal can bear.
//   - A name below a symbolic link, or below anything that is no directory, is
//     refused ([ErrLink]). GNU tar would follow the link if it was there before.
//   - Targets of symbolic links are kept as they are: absolute ones are usual.
//   - A hard link is made only to a regular file that the archive has already
//     brought ([ErrLink]).
//   - A later entry replaces an earlier one of the same name, which is removed
//     first and never written through. A directory stays if the later entry is a
//     directory too, and gives way to anything else only if empty ([ErrOccupied]).
//   - Owners (numbers), modes with set-id and sticky bits, and times are kept.
//     Those of directories are set at the end.
//   - Runs of zeros become holes, whether the archive knew them as holes or not.
//   - Extended attributes: user.*, security.capability and system.posix_acl_*
//     are kept, from GNU tar's and bsdtar's SCHILY.xattr records; others are
//     left out and reported. Whiteouts and marks of overlay and AUFS are refused
//     ([ErrLayer]): half of such a tree is elsewhere.
//   - FIFOs are kept, devices treated as [Devices] says.
//
// Sources: tar(5), the pax format of POSIX.1-2024, "Extended attributes" in the
// manual of GNU tar, xattr(7), capabilities(7), and the kernel's
// Documentation/filesystems/overlayfs.rst.
//
// It needs Linux and the rights of root; elsewhere it returns errors.ErrUnsupported.
package unpack
