#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the kernel module for a kernel of the cache, in a folder of its own, so that several
# kernels do not get in each other's way.
#
# usage: build-kmod.sh [--path] [--fresh] [--patch FILE] [--define NAME] [KERNEL [FLAVOUR]]
# KERNEL, FLAVOUR as for fetch-kernel.sh. The module is build/kmod/RELEASE/mobility.ko; --path only
# prints this name. --patch and --define build a changed module, for tests of the tests, in a
# folder of its own: build/kmod/RELEASE+NAME/. --fresh compiles
# everything, whatever is there. KMOD_MAKE: further words for make, which is then called
# in any case, and makes the same module (C=1).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

read -ra make_args <<<"${KMOD_MAKE-}"
only_path="" fresh="" patch="" define="" variant=""
while [ $# -gt 0 ]; do
	case $1 in
	--path) only_path=1 ;;
	--fresh) fresh=1 ;;
	--patch) patch=$(realpath "$2") variant+=+$(basename "$2" .patch); shift ;;
	--define) define=$2 variant+=+$2; shift ;;
	*) break ;;
	esac
	shift
done
eval "$("$here/fetch-kernel.sh" "${1:-${MOBILITY_KERNEL:-bookworm}}" \
	"${2:-${MOBILITY_FLAVOUR:-cloud-amd64}}")"
out=$top/build/kmod/$RELEASE$variant
if [ -n "$only_path" ]; then
	echo "$out/mobility.ko"
	exit
fi

mkdir -p "$out"
cache_lock "$out/.lock"
[ -z "$fresh" ] || rm -rf "$out/src" "$out/made-of"

# Sources only, whatever a build in the tree has left there.
sources=(-type f '(' -name Makefile -o -name Kbuild -o -name '*.[ch]' -o -name '*.sh' ')'
	! -name '*.mod.c' ! -name features.h)
mapfile -t files < <(cd "$top" && find Makefile Kbuild include kmod "${sources[@]}" | LC_ALL=C sort)

# What the module is made of. Of a module that is made of the same there is nothing to do, while make would try
# the compile probes again, which takes longer than the guest of many a test.
of() {
	(cd "$top" && sha256sum -- "${files[@]}")
	[ -z "$patch" ] || sha256sum <"$patch"
	echo "$KDIR $define"
	stat -L -c '%n %s %Y' "$KDIR"/{.config,Module.symvers}
}
made_of=$(of)
if [ ${#make_args[@]} -eq 0 ] && [ -f "$out/mobility.ko" ] && [ "$made_of" = "$(cat "$out/made-of" 2>/dev/null)" ]; then
	exit
fi

rm -f "$out/made-of"
mkdir -p "$out/src"
# the times are kept, so that only what changed is compiled again
find "$out/src" "${sources[@]}" -delete
tar -C "$top" -cf - "${files[@]}" | tar -C "$out/src" -xf -
[ -z "$patch" ] || patch -s -d "$out/src" -p1 <"$patch" >&2
# no pahole is needed for a module
make_for "$SUITE" -j2 -C "$out/src" kmod KDIR="$KDIR" CONFIG_DEBUG_INFO_BTF_MODULES= \
	${define:+"$define=y"} "${make_args[@]}"
module=$(find "$out/src" -name mobility.ko | head -1)
[ -n "$module" ] || { echo "build-kmod: make kmod left no mobility.ko in $out/src" >&2; exit 1; }
cp "$module" "$out/mobility.ko.new"
mv "$out/mobility.ko.new" "$out/mobility.ko"
echo "$made_of" >"$out/made-of"
