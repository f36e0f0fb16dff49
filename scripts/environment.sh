#!/usr/bin/env bash
# Makes the virtual environment $1 and installs what the lock file names; nothing to do when the lock is already in it.
set -euo pipefail
venv="$1" lock="$2"
stamp="$venv/.lock.sha256"
want="$(sha256sum <"$lock")"
[[ -x "$venv/bin/python" && "$(cat "$stamp" 2>/dev/null || true)" == "$want" ]] && exit 0

python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
	if "$candidate" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
		python="$candidate"
		break
	fi
done
if [[ -z "$python" ]]; then
	echo "environment: expected Python 3.11 or newer with venv, found $(python3 --version 2>&1): apt-get install python3 python3-venv, or PYTHON=..." >&2
	exit 1
fi
[[ -x "$venv/bin/python" ]] || "$python" -m venv "$venv"
echo "environment: installing the locked Python packages into $venv" >&2
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$lock"
echo "$want" >"$stamp"
