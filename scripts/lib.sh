# Sourced by the other scripts: the machine they need. They run from anywhere.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Neither Go's usual place nor the programs of root are in every PATH.
for dir in /usr/local/go/bin /usr/local/sbin /usr/sbin /sbin; do
	case ":$PATH:" in
	*":$dir:"*) ;;
	*) if [ -d "$dir" ]; then PATH=$PATH:$dir; fi ;;
	esac
done
export PATH

# Git, which Go asks for the commit, refuses the clone of another user to root.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# need_root runs the script again as root: namespaces, libvirtd and packages
# need that.
need_root() {
	command -v go >/dev/null || die "there is no go in PATH nor in /usr/local/go/bin; see https://go.dev/doc/install"
	[ "$(id -u)" -ne 0 ] || return 0
	command -v sudo >/dev/null || die "needs root, and there is no sudo: run it as root"
	[ -t 0 ] || sudo -n true 2>/dev/null || die "needs root, and sudo asks for a password: run it as root or from a terminal"
	local name keep=()
	for name in PATH GOFLAGS GOPROXY GOSUMDB TESTRIG_CACHE FUZZTIME; do
		[ -z "${!name:-}" ] || keep+=("$name=${!name}")
	done
	exec sudo -- env "${keep[@]}" bash "$PWD/scripts/$(basename "$0")" "$@"
}

# install_missing PACKAGE... installs what is not there from Debian.
install_missing() {
	local package missing=()
	for package in "$@"; do
		dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
	done
	if [ ${#missing[@]} -eq 0 ]; then
		echo "all Debian packages are there"
		return
	fi
	command -v apt-get >/dev/null || die "missing, and there is no apt-get to install them: ${missing[*]}"
	echo "installing: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update && apt-get -qq -y --no-install-recommends install "${missing[@]}" >/dev/null
}

# stage NAME COMMAND... runs a command and prints how long it took.
stage() {
	local name=$1 begin=$EPOCHREALTIME status=0
	shift
	echo "--- $name"
	"$@" || status=$?
	awk -v n="$name" -v b="$begin" -v e="$EPOCHREALTIME" -v s="$status" \
		'BEGIN { printf "--- %s: %s, %.1f s\n", n, s ? "FAILED" : "done", e - b }'
	return $status
}

# rig_packages prints the Debian packages of the test rig.
rig_packages() { go run ./internal/testrig/cmd/rig packages; }
