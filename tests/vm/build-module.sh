#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds a test's own kernel module, a folder with a Kbuild and NAME.c, for the kernel that
# MOBILITY_KERNEL and MOBILITY_FLAVOUR name, and prints the path of NAME.ko.
#
# usage: build-module.sh DIR	NAME is the folder's name
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

name=$(basename "$1")
eval "$("$here/fetch-kernel.sh" "${MOBILITY_KERNEL:-bookworm}" "${MOBILITY_FLAVOUR:-cloud-amd64}")"
out=$top/build/kmod/$RELEASE-$name
mkdir -p "$out"
cache_lock "$out/.lock"
cp "$1"/Kbuild "$1"/*.c "$out/"
make_for "$SUITE" -s -C "$KDIR" M="$out" CONFIG_DEBUG_INFO_BTF_MODULES= modules >&2
echo "$out/$name.ko"
