#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The one list of Debian packages that building and testing needs, and their installation.
# scripts/deps.sh build|check|guest|bench: installs what is missing of that group (and those before it) and says so.
set -euo pipefail

build=(
	gcc make pkg-config libc6-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libzstd-dev liburcu-dev
	libblkid-dev libmicrohttpd-dev libgnutls28-dev libsqlite3-dev libjansson-dev libinih-dev libsystemd-dev
)
check=(
	check clang libclang-rt-14-dev clang-format-14 python3 curl jq openssl sqlite3 zstd shellcheck
	faketime cppcheck sparse spin util-linux codespell man-db groff-base perl e2fsprogs git
	postgresql-15 mariadb-server redis-server
)
guest=(
	qemu-system-x86 qemu-utils debootstrap fio xfsprogs e2fsprogs busybox-static cpio dmsetup kmod libelf-dev
	fdisk lvm2 cryptsetup-bin mdadm thin-provisioning-tools btrfs-progs
	bc flex bison xz-utils
)
bench=(nbdkit libnbd-bin rsync)

want=("${build[@]}")
case "${1:-build}" in
build) ;;
check) want+=("${check[@]}") ;;
guest) want+=("${check[@]}" "${guest[@]}") ;;
bench) want+=("${check[@]}" "${bench[@]}") ;;
*)
	echo "deps.sh: unknown group '$1'; use build, check, guest or bench" >&2
	exit 2
	;;
esac

missing=()
for package in "${want[@]}"; do
	state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
	[ "$state" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps.sh: run as root, or install sudo, to install: ${missing[*]}" >&2
		exit 1
	}
	sudo=(sudo)
fi
# The databases are for tests that start them by hand: no service of this machine is to begin because of that.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap '"${sudo[@]}" rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" install -m 755 /dev/stdin $policy
fi
echo "installing Debian packages: ${missing[*]}"
"${sudo[@]}" apt-get update -q >/dev/null
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
	"${missing[@]}" >/dev/null
