#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# freeze-kill.sh ROUNDS SEED: filesystems of every kind on the disks ext4, xfs and btrfs, a bind mount, a loop
# device; a writer, a hook; then freezekill.
set -eu
PATH=$PATH:/usr/local/bin

modprobe -a ext4 xfs btrfs loop 2>/dev/null || true
mkdir -p /mnt/ext4 /mnt/xfs /mnt/btrfs /mnt/bind /mnt/loop /etc/mobility/writers.d /etc/qemu/fsfreeze-hook.d
mount /dev/mob/ext4 /mnt/ext4
mount -t xfs /dev/mob/xfs /mnt/xfs
mount -t btrfs /dev/mob/btrfs /mnt/btrfs
mount -o bind /mnt/xfs /mnt/bind
mount -o loop /mnt/ext4/loop.img /mnt/loop
cat >/etc/mobility/writers.d/20-lock <<END
#!/bin/sh
exec /usr/local/bin/freezekill writer "\$1"
END
cat >/etc/qemu/fsfreeze-hook.d/hook.sh <<END
#!/bin/sh
case \$1 in freeze) >/run/freezekill.hook ;; thaw) rm -f /run/freezekill.hook ;; esac
END
chmod 755 /etc/mobility/writers.d/20-lock /etc/qemu/fsfreeze-hook.d/hook.sh
: >/run/vss-shim.conf
freezekill "$1" "$2" /usr/local/bin/vss-shim /run/vss-shim.conf /run/mobility-shim/vss-shim.sock \
	/mnt/ext4/probe /mnt/xfs/probe /mnt/btrfs/probe /mnt/loop/probe 2>&1
