#!/usr/bin/env bash
# Installs the Debian packages that are missing, where it may; otherwise names them and says what still works.
# Status 1: what is missing is needed to build.
set -euo pipefail
list="$(dirname "$0")/debian-packages.txt"

installed() {
	[[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" == installed ]]
}

# A tool or library that came from elsewhere than a package serves as well.
present() {
	case "$1" in
	gcc) command -v gcc ;;
	libc6-dev) echo '#include <stdio.h>' | gcc -E -x c - ;;
	clang | llvm | spin | tcpreplay | tshark | tcpdump | bpftool | ethtool | netsniff-ng) command -v "${1/llvm/llvm-strip}" ;;
	clang-format) command -v clang-format ;;
	iproute2) command -v ip ;;
	wireshark-common) command -v dumpcap ;;
	systemd) command -v systemd-analyze ;;
	procps) command -v sysctl ;;
	pkg-config) command -v pkg-config ;;
	lib*-dev) pkg-config --exists "$(sed -e 's/^libbpf-dev$/libbpf/; s/^libxdp-dev$/libxdp/; s/-dev$//; s/^libcmocka$/cmocka/' <<<"$1")" ;;
	python3) python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ;;
	python3-dev) python3 -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ;;
	python3-venv) python3 -c 'import ensurepip, venv' ;;
	*) false ;;
	esac >/dev/null 2>&1
}

missing=() lines=() broken=0
while read -r package purpose without; do
	[[ -z "$package" || "$package" == \#* ]] && continue
	if ! installed "$package" && ! present "$package"; then
		missing+=("$package")
		lines+=("  $package: $without")
		[[ "$purpose" == build ]] && broken=1
	fi
done <"$list"
[[ ${#missing[@]} -eq 0 ]] && exit 0

root=()
if [[ $EUID -ne 0 ]]; then
	if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
	else
		root=(none)
	fi
fi
if [[ "${root[*]-}" != none ]] && command -v apt-get >/dev/null; then
	echo "packages: installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	if "${root[@]}" apt-get -q update && "${root[@]}" apt-get -qy install --no-install-recommends "${missing[@]}"; then
		exit 0
	fi
	echo "packages: apt-get failed; see above" >&2
else
	echo "packages: neither root nor sudo without a password here (or no apt-get)" >&2
fi
{
	echo "packages: missing, and what goes without them:"
	printf '%s\n' "${lines[@]}"
	echo "packages: as root: apt-get install ${missing[*]}"
	if [[ $broken -eq 1 ]]; then
		echo "packages: nanotape cannot be built without these. What still works: reading archives, by a build without native code:"
		echo "packages:   pip install -Csetup-args=-Dnative=disabled ."
	else
		echo "packages: building goes on; the rest works."
	fi
} >&2
exit $broken
