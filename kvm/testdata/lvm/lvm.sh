#!/bin/sh
# Stands in for LVM's programs, for tests on kernels without device mapper: logical
# volumes are loop devices on files in $dir, with links to them in /dev/$vg. What
# is removed is given out again as it was, as extents are.
set -eu
dir=@DIR@ vg=@VG@ total=@TOTAL@ extent=4194304
echo "${0##*/} $*" >>"$dir/calls"

used() {
	sum=0
	for f in "$dir"/*.lv; do
		[ -e "$f" ] && sum=$((sum + $(stat -c %s "$f")))
	done
	echo $sum
}

case ${0##*/} in
vgscan | vgchange | lvchange) ;;
pvs) echo "  /dev/stand-in $vg" ;;
vgs) echo "  $total:$((total - $(used)))" ;;
lvs)
	for f in "$dir"/*.lv; do
		[ -e "$f" ] || continue
		name=${f##*/} size=$(stat -c %s "$f")
		name=${name%.lv}
		echo "  $name##uuid-$name#/dev/stand-in(0)#linear#1#$size#$extent#$size#-wi-a-----"
	done
	;;
lvcreate)
	name='' size=''
	while [ $# -gt 0 ]; do
		case $1 in
		--name) name=$2 && shift ;;
		-L) size=${2%K} && shift ;;
		--type | --virtualsize | -s) echo "stand-in for lvcreate: $1 is a snapshot" >&2 && exit 3 ;;
		esac
		shift
	done
	size=$(((size * 1024 + extent - 1) / extent * extent))
	if [ $size -gt $((total - $(used))) ]; then
		echo "  Volume group \"$vg\" has insufficient free space" >&2
		exit 5
	fi
	for f in "$dir"/*.free; do
		[ -e "$f" ] && mv "$f" "$dir/$name.lv" && break
	done
	truncate -s $size "$dir/$name.lv"
	ln -s "$(losetup -f --show "$dir/$name.lv")" "/dev/$vg/$name"
	;;
lvremove)
	for path; do :; done
	name=${path##*/}
	losetup -d "$(readlink "$path")"
	rm "$path"
	mv "$dir/$name.lv" "$dir/$name.free"
	;;
*) echo "no stand-in for $0" >&2 && exit 3 ;;
esac
