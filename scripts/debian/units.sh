#!/usr/bin/env bash
# Puts units, users and folders for systemd below the root of a package, as far as there are any.
set -euo pipefail
root="$1"
place() { # suffix, folder
	local files=()
	shopt -s nullglob
	files=(config/systemd/*."$1")
	shopt -u nullglob
	[[ ${#files[@]} -eq 0 ]] && return 0
	mkdir -p "$root/$2"
	cp "${files[@]}" "$root/$2/"
}
for suffix in service target timer; do place "$suffix" usr/lib/systemd/system; done
