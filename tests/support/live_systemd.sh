# live_systemd.py's: FOLDER INTERPRETER PACKAGES EXECUTABLE. Becomes `unshare`, whose child is process 1.
set -eu
if [ "${5:-}" != inside ]; then
	exec unshare --mount --pid --fork --uts --ipc --cgroup --kill-child=KILL --propagation private sh "$0" "$@" inside
fi
folder=$1 interpreter=$2 packages=$3 executable=$4
mount -t proc proc /proc
mount -o remount,bind,ro /sys # read-only: udev and others leave the host's devices alone
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
mkdir "$folder/over" && mount -t tmpfs -o mode=755 tmpfs "$folder/over"
for place in etc var/lib; do
	upper="$folder/over/$place" work="$folder/over/work-${place##*/}"
	mkdir -p "$upper" "$work"
	mount -t overlay overlay -o "lowerdir=/$place,upperdir=$upper,workdir=$work" "/$place"
done
mkdir "$folder/over/python" "$folder/over/packages"
mount --bind "$interpreter" "$folder/over/python"
mount --bind "$packages" "$folder/over/packages"
mount -t tmpfs -o mode=755 tmpfs /opt
top=${executable%/*}
mkdir -p "$top/python" "$top/packages"
mount --move "$folder/over/python" "$top/python"
mount --move "$folder/over/packages" "$top/packages"
cat >"$executable" <<X
#!/bin/sh
exec env PYTHONHOME=$top/python PYTHONPATH=$top/packages LD_LIBRARY_PATH=$top/python/lib $top/python/bin/python3 -m nanotape.cli.main "\$@"
X
chmod 755 "$executable"
mount -t tmpfs -o mode=755 tmpfs /home
umount -R -l /run/netns 2>/dev/null || true # others' namespaces must not live on here
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
# Of the host's own units: none, but the journal.
mkdir -p /etc/systemd/system
find /etc/systemd/system -mindepth 1 -delete
for unit in /lib/systemd/system/*.target.wants/*; do
	case $unit in *journald.s* | *journald-dev-log*) ;; *) ln -sfn /dev/null "/etc/systemd/system/${unit##*/}" ;; esac
done
ln -sfn /dev/null /etc/systemd/system/systemd-remount-fs.service
printf '[Journal]\nReadKMsg=no\nRateLimitBurst=0\n' >/etc/systemd/journald.conf
: >/etc/fstab
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=other "${SYSTEMD:-/lib/systemd/systemd}" --unit=basic.target \
	--log-target=console --log-level=warning --show-status=0
