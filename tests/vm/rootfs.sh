#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the Debian root filesystem of `--root debian`: the small base system, the libraries that the
# agent needs, and the tools that the tests use. No kernel: its modules come with the initramfs.
#
# usage: rootfs.sh [--apps] [--image FILE]	prepares it in the cache; copies the ext4 image to FILE
#
# --apps: one with systemd and the databases that the shipped writers freeze. None of them is started at boot:
# the test decides where its data lies, and when it runs.
#
# The copy is sparse. Needs root (debootstrap), the first time only.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

suite=bookworm
kind=base
image_size=448M
packages=(
	e2fsprogs xfsprogs util-linux iproute2 kmod dmsetup procps fio
	libcurl4 libssl3 zlib1g liburcu8 libblkid1 libjansson4 libinih1 libzstd1 libsystemd0
)
if [ "${1-}" = --apps ]; then
	shift
	kind=apps
	image_size=1200M
	packages+=(systemd systemd-sysv dbus postgresql-15 mariadb-server redis-server)
fi

# what nobody reads in a guest
trim() {
	rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/debootstrap
	rm -rf "$1"/usr/share/{doc,man,info,locale,lintian}/*
	rm -rf "$1"/usr/lib/x86_64-linux-gnu/gconv
}

# The databases' packages have made an empty cluster and data folder; the tests copy them to disks of their own.
trim_apps() {
	chroot "$1" systemctl -q disable postgresql mariadb redis-server
	chroot "$1" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer getty@tty1.service
	rm -rf "$1"/usr/lib/postgresql/15/lib/{bitcode,llvmjit.so} "$1"/usr/lib/x86_64-linux-gnu/libLLVM-*.so* "$1"/usr/lib/llvm-*
	install -d -m 755 "$1"/var/log/{mysql,redis,postgresql}
	chroot "$1" chown mysql: /var/log/mysql
	chroot "$1" chown redis: /var/log/redis
	chroot "$1" chown postgres: /var/log/postgresql
}

make_image() {		# FILE
	local root status=0

	root=$(mktemp -d "$store/.new.XXXXXX")
	chmod 755 "$root"
	debootstrap --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" \
		"$suite" "$root" "$debian_mirror/debian" >"$store/debootstrap.log" 2>&1 || status=$?
	if [ $status -ne 0 ]; then
		tail -n 20 "$store/debootstrap.log" >&2
		echo "rootfs: debootstrap of $suite failed ($status): $store/debootstrap.log" >&2
		return 1
	fi
	trim "$root"
	if [ $kind = base ]; then
		rm -rf "$root"/usr/share/zoneinfo/*
	else	# initdb has written the zone of the machine that made the image into a configuration
		trim_apps "$root"
	fi
	echo guest >"$root/etc/hostname"
	echo "127.0.0.1 localhost guest" >"$root/etc/hosts"
	rm -f "$root/etc/resolv.conf"
	truncate -s "$image_size" "$1"
	mke2fs -q -t ext4 -L root -d "$root" "$1"
	rm -rf "$root"
}

store=$cache/rootfs/$kind
image=$store/$suite-$(sha256sum <"$here/rootfs.sh" | cut -c1-16).img
mkdir -p "$store"
cache_lock "$store/.lock"
if [ ! -s "$image" ]; then
	rm -rf "$store/$suite"-*.img "$store"/.new.*
	make_image "$image.new"
	mv "$image.new" "$image"
fi
if [ "${1-}" = --image ]; then
	cp --sparse=always --reflink=auto "$image" "$2"
fi
