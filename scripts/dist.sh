#!/usr/bin/env bash
# Builds into dist/ what a host without compiler and internet installs: the wheel, with libbpf and libxdp inside, a
# wheelhouse with all that it needs, and a .deb of both. Arguments: the virtual environment, jobs.
set -euo pipefail
bin="$1/bin" jobs="$2"
cd "$(dirname "$0")/.."

rm -rf dist/wheelhouse dist/nanotape-*.whl dist/nanotape_*.deb build/deb
mkdir -p dist/wheelhouse
log=build/dist.log
echo 'dist: the wheel, with libbpf and libxdp linked statically' >&2
"$bin/pip" wheel --disable-pip-version-check --no-deps --no-build-isolation --no-index -Cbuild-dir=build/dist-wheel \
	-Csetup-args=-Dstatic_bpf=true -Csetup-args=-Dtests=disabled -Ccompile-args=-j"$jobs" -w dist . >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
echo 'dist: the wheelhouse' >&2
"$bin/pip" download -qq --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r requirements.lock -d dist/wheelhouse
cp dist/nanotape-*.whl dist/wheelhouse/
echo 'dist: the Debian package' >&2
scripts/debian/build.sh "$bin" build/deb dist
ls -1 dist/*.whl dist/*.deb
