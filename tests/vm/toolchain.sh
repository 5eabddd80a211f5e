#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A small Debian of another suite, in the cache, with what builds kernel modules there: the tools
# that come with a newer kernel's headers want that suite's compiler and C library.
#
# usage: toolchain.sh SUITE COMMAND...
# Runs the command in it as root, in a mount namespace of its own, where the tree and the cache are
# at the same places as outside. Needs root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

die() { echo "toolchain: $*" >&2; exit 1; }

packages=(gcc make libc6-dev libelf1t64)

make_root() {
	local tmp

	rm -rf "$store"/.new.*
	tmp=$(mktemp -d "$store/.new.XXXXXX")
	chmod 755 "$tmp"
	nice debootstrap --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" \
		"$suite" "$tmp" "$debian_mirror/debian" >"$store/$suite.log" 2>&1 || {
		tail -n 20 "$store/$suite.log" >&2
		die "debootstrap of $suite failed: $store/$suite.log"
	}
	rm -rf "$tmp"/var/cache/apt/* "$tmp"/var/lib/apt/lists/* "$tmp"/usr/share/{doc,man,info,locale}/*
	mv -T "$tmp" "$root"
}

[ $# -ge 2 ] || die "usage: toolchain.sh SUITE COMMAND..."
[ "$(id -u)" -eq 0 ] || die "needs root, for debootstrap and chroot"
suite=$1
shift
store=$cache/toolchain
root=$store/$suite
mkdir -p "$store"
if [ ! -x "$root/usr/bin/gcc" ]; then
	cache_lock "$store/.lock"
	[ -x "$root/usr/bin/gcc" ] || make_root
fi
mkdir -p "$root$top" "$root$cache"
# shellcheck disable=SC2016
exec unshare -m bash -euc '
	root=$1
	shift
	mount --bind "$1" "$root$1"
	[ "$1" = "$2" ] || mount --bind "$2" "$root$2"
	mount -t proc proc "$root/proc"
	cd "$3"
	shift 3
	exec chroot "$root" "$@"' toolchain "$root" "$top" "$cache" "$PWD" "$@"
