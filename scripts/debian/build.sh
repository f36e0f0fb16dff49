#!/usr/bin/env bash
# Builds a .deb from dist/wheelhouse: /opt/nanotape is a virtual environment of the distribution's own Python.
# Arguments: folder of the tools, folder to build in, folder that gets the package.
set -euo pipefail
tools="$1" root="$2" dist="$3"
version="$("$tools/python" -c 'import email, sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(email.message_from_bytes(z.read(next(n for n in z.namelist() if n.endswith("METADATA"))))["Version"])' "$dist"/nanotape-*.whl)"
python="$("$tools/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
next="$("$tools/python" -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')"
architecture="$(dpkg --print-architecture)"
home="$root/opt/nanotape"

rm -rf "$root"
mkdir -p "$home/bin" "$root/usr/bin" "$root/usr/share/doc/nanotape" "$root/DEBIAN"
"$tools/pip" install -qq --disable-pip-version-check --no-compile --no-index --find-links "$dist/wheelhouse" \
	--target "$home/lib/python$python/site-packages" "$dist"/nanotape-*.whl
rm -rf "$home/lib/python$python/site-packages/bin"
# What makes a folder a virtual environment; nothing in it knows where it was built.
printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = %s\n' "$python" >"$home/pyvenv.cfg"
ln -s "/usr/bin/python$python" "$home/bin/python"
cat >"$home/bin/nanotape" <<'LAUNCHER'
#!/opt/nanotape/bin/python -P
import sys

from nanotape.cli.main import main

sys.exit(main())
LAUNCHER
chmod 755 "$home/bin/nanotape"
ln -s /opt/nanotape/bin/nanotape "$root/usr/bin/nanotape"
cp -r LICENSE README.md SECURITY.md docs "$root/usr/share/doc/nanotape/"
gzip -9nc CHANGELOG.md >"$root/usr/share/doc/nanotape/changelog.gz"
scripts/debian/units.sh "$root"

size="$(du -sk --exclude=DEBIAN "$root" | cut -f1)"
cat >"$root/DEBIAN/control" <<CONTROL
Package: nanotape
Version: $version
Architecture: $architecture
Maintainer: nanotape maintainers <maintainers@nanotape.invalid>
Installed-Size: $size
Depends: python$python, python3 (>= $python), python3 (<< $next), libelf1, zlib1g, libpcap0.8, libseccomp2, iproute2, util-linux
Recommends: linuxptp, ethtool, systemd
Section: net
Priority: optional
Description: records UDP multicast market data, from the NIC to Arrow files
 Every packet with a nanosecond stamp, each one that is missing accounted for,
 and the clock's error bound beside each stamp.
CONTROL
dpkg-deb --root-owner-group -Zzstd --build "$root" "$dist/nanotape_${version}_$architecture.deb" >/dev/null
