#!/usr/bin/env bash
# Puts units, users and folders for systemd below the root of a package, and what is to run when it is installed.
set -euo pipefail
root="$1" from=config/systemd
mkdir -p "$root/usr/lib/systemd/system" "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d" "$root/usr/lib/udev/rules.d" "$root/DEBIAN"
cp "$from"/*.service "$from"/*.target "$from"/*.timer "$root/usr/lib/systemd/system/"
cp "$from/nanotape.sysusers" "$root/usr/lib/sysusers.d/nanotape.conf"
cp "$from/nanotape.tmpfiles" "$root/usr/lib/tmpfiles.d/nanotape.conf"
cp "$from/nanotape.udev" "$root/usr/lib/udev/rules.d/60-nanotape.rules"
# Nothing is enabled: what is to be captured is not configured yet. A capture that runs goes on through an upgrade.
cat >"$root/DEBIAN/postinst" <<'POSTINST'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
	# Who runs nanotape may not write there: each start would compile it all again, for a second.
	"${DPKG_ROOT:-}/opt/nanotape/bin/python" -m compileall -q "${DPKG_ROOT:-}/opt/nanotape/lib" || true
	if command -v systemd-sysusers >/dev/null; then systemd-sysusers nanotape.conf; fi
	if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create nanotape.conf || true; fi
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		if udevadm control --reload; then udevadm trigger --subsystem-match=ptp || true; fi
		if [ -n "${2:-}" ] && systemctl --quiet is-active nanotape.target; then
			echo "nanotape: what runs goes on as version $2; what a restart of each part costs: docs/restarts.md"
		fi
	fi
fi
POSTINST
cat >"$root/DEBIAN/prerm" <<'PRERM'
#!/bin/sh
set -e
# An upgrade stops nothing: what runs goes on with the code that it was started with, until it is restarted.
case "$1" in
	remove | deconfigure) is_removed=yes ;;
	*) is_removed= ;;
esac
if [ -n "$is_removed" ] && [ -z "${DPKG_ROOT:-}" ] && command -v systemctl >/dev/null; then
	# Captures first, as their units are ordered; each recorder takes what is in its ring before it ends.
	if [ -d /run/systemd/system ]; then
		systemctl stop nanotape.target 'nanotape-*.timer' 'nanotape-*.service'
	fi
	for link in /etc/systemd/system/*.wants/nanotape.target /etc/systemd/system/*.wants/nanotape-*; do
		if [ -L "$link" ]; then systemctl --quiet --no-reload disable "${link##*/}"; fi
	done
fi
find "${DPKG_ROOT:-}/opt/nanotape" -name __pycache__ -type d -prune -exec rm -rf {} +
PRERM
cat >"$root/DEBIAN/postrm" <<'POSTRM'
#!/bin/sh
set -e
# What `nanotape service install` wrote goes with the configuration; configuration and archive are not the package's.
if [ "$1" = purge ]; then
	for folder in "${DPKG_ROOT:-}"/etc/systemd/system/nanotape-*.service.d; do
		rm -f "$folder/50-nanotape.conf"
		if [ -d "$folder" ]; then rmdir --ignore-fail-on-non-empty "$folder"; fi
	done
fi
if [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
POSTRM
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
