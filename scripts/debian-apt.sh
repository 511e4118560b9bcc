# Sourced by the scripts that build Debian: where apt has its packages on this
# machine, in debian and security, and its proxies, in apt_options.

# mirror LABEL DEFAULT prints where apt has the packages of Debian on this machine.
mirror() {
	local found=
	if command -v apt-get >/dev/null; then
		found=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: $1" 2>/dev/null | head -n 1) || true
	fi
	echo "${found:-$2}"
}

apt_options=()
if command -v apt-config >/dev/null; then
	while IFS= read -r line; do
		apt_options+=("--aptopt=${line%;}")
	done < <(apt-config dump | grep -E '^Acquire::https?::([^ ]*::)?([Pp]roxy|CaInfo|[Vv]erify)[^ ]* ".+";$' || true)
fi
debian=$(mirror Debian http://deb.debian.org/debian/)
security=$(mirror Debian-Security http://deb.debian.org/debian-security/)
