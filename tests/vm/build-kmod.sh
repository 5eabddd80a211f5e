#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the kernel module for a kernel of the cache, in a folder of its own, so that several
# kernels do not get in each other's way.
#
# usage: build-kmod.sh [--path] [KERNEL [FLAVOUR]]	(KERNEL, FLAVOUR as for fetch-kernel.sh)
# The module is build/kmod/RELEASE/mobility.ko; --path only prints this name.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

only_path=
if [ "${1-}" = --path ]; then only_path=1; shift; fi
eval "$("$here/fetch-kernel.sh" "${1:-${MOBILITY_KERNEL:-bookworm}}" \
	"${2:-${MOBILITY_FLAVOUR:-cloud-amd64}}")"
out=$top/build/kmod/$RELEASE
if [ -n "$only_path" ]; then
	echo "$out/mobility.ko"
	exit
fi

mkdir -p "$out/src"
cache_lock "$out/.lock"
# sources only, whatever a build in the tree has left there; the times are kept, so that only what
# changed is compiled again
sources=(-type f '(' -name Makefile -o -name Kbuild -o -name '*.[ch]' -o -name '*.sh' ')'
	! -name '*.mod.c' ! -name features.h)
find "$out/src" "${sources[@]}" -delete
(cd "$top" && find Makefile Kbuild include kmod "${sources[@]}" -print0 |
	tar --null -T - -cf -) | tar -C "$out/src" -xf -
make -C "$out/src" kmod KDIR="$KDIR"
module=$(find "$out/src" -name mobility.ko | head -1)
[ -n "$module" ] || { echo "build-kmod: make kmod left no mobility.ko in $out/src" >&2; exit 1; }
cp "$module" "$out/mobility.ko.new"
mv "$out/mobility.ko.new" "$out/mobility.ko"
