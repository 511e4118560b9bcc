#!/usr/bin/env bash
# Checks and tests everything, the real hypervisor included. The seeds of fuzz targets
# are among the tests. FUZZTIME=2000x runs the targets too, each for so long, in
# executions or time: with a time that ends while the seeds are tried, Go calls the
# target failed. Building for it takes minutes, so CI does without. TESTRIG_CACHE is where the images
# of the test guests are kept. The last line counts tests, with their subtests; each
# check and each fuzz target counts as one.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" || exit
need_root "$@"

: "${FUZZTIME:=}"
export TESTRIG_CACHE=${TESTRIG_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/provision-testrig}
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
pure=() # must build on every system
for dir in . domainxml kvm lxc provisiontest; do
	if compgen -G "$dir/*.go" >/dev/null; then pure+=("./$dir"); fi
done

work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT
begin=$SECONDS

count() { echo "$@" >>"$work/tally"; }

# check NAME COMMAND... is a stage that counts as one test.
check() {
	if stage "$@"; then count 1 0 0; else count 0 1 0; fi
}

install_all() {
	local list
	list=$(rig_packages) || return
	# shellcheck disable=SC2086 # one word each
	install_missing gcc libc6-dev $list # the race detector needs a C compiler
}

formatted() {
	local bad
	bad=$(gofmt -l .) || return
	[ -z "$bad" ] || { echo "not formatted: $bad"; return 1; }
}

vet_elsewhere() { GOOS=darwin go vet "${pure[@]}"; }

build_without_cgo() { CGO_ENABLED=0 go build ./...; }

long=(./internal/kvmtest ./kvm ./internal/lxctest ./internal/debiantest ./internal/kvmload) # first, so that the others fill the gaps

# Three packages at a time: guests under emulation need a processor each, and much of
# the rest is waiting.
tests() {
	go build -o "$work/testsum" ./scripts/testsum || { count 0 1 0; return 1; }
	go test -json -race -count=1 -p 3 -timeout 20m "${long[@]}" ./... 2>&1 | "$work/testsum" -tally "$work/tally"
}

# The image of Debian is built beside the checks: much of that is waiting for a mirror.
build_debian() {
	go run ./internal/testrig/cmd/rig debian -cache "$TESTRIG_CACHE" >"$work/debian" 2>&1 &
	building=$!
}

debian_image() { wait "$building" || { cat "$work/debian"; return 1; }; }

# fuzz_binaries builds a test binary of each package that has fuzz targets, once, and
# lists each target behind its package and binary.
fuzz_binaries() {
	local dir binary
	for dir in $(grep -rlE --include='*_test.go' '^func Fuzz[A-Z]' . | xargs -r dirname | sort -u); do
		binary=$work/fuzz-$(basename "$(realpath "$dir")").test
		go test -c -fuzz . -o "$binary" "$dir" || return
		(cd "$dir" && "$binary" -test.list '^Fuzz') | sed "s|^|$dir $binary |" || return
	done >"$work/targets"
}

# fuzz DIR BINARY TARGET does what go test -fuzz does after it has built the binary.
fuzz() {
	local cache
	cache=$(go env GOCACHE)/fuzz/$(go list "$1") || return
	(cd "$1" && "$2" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$FUZZTIME" -test.fuzzcachedir "$cache" -test.timeout 10m) \
		>"$work/fuzz" 2>&1 || { cat "$work/fuzz"; return 1; }
}

check "Debian packages" install_all
check "modules" go mod download
build_debian
check "gofmt" formatted
check "go mod tidy" go mod tidy -diff
check "go vet" go vet ./...
check "build without cgo" build_without_cgo
check "go vet for darwin" vet_elsewhere
check "staticcheck" go run "$staticcheck" ./...
check "image of Debian" debian_image
stage "tests" tests
if [ -n "$FUZZTIME" ]; then
	check "fuzz binaries" fuzz_binaries
	while read -r dir binary target; do
		check "fuzz $target in $dir" fuzz "$dir" "$binary" "$target"
	done <"$work/targets"
fi

echo "--- all done in $((SECONDS - begin)) s"
awk '{ p += $1; f += $2; s += $3 }
	END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f + s > 0 || p == 0 }' "$work/tally"
