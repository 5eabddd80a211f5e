#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the programs that run inside guests, statically, into build/vm/bin/: oracle (the write-order
# oracle), drain (a small user of the kernel module's interface), churn (a busy tree of
# files), freezekill (kills around frozen filesystems), and the tools of the cases. Only what changed is built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/build/vm/bin
mkdir -p "$out"

build() {		# NAME PATH...: from .c files, and those of folders
	local name=$1 path newest sources=()

	shift
	for path; do
		if [ -d "$path" ]; then sources+=("$path"/*.c); else sources+=("$path"); fi
	done
	if [ -x "$out/$name" ]; then
		newest=$(find "$@" "$top/include/mobility/uapi.h" -type f -newer "$out/$name")
		[ -n "$newest" ] || return 0
	fi
	"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -Wformat=2 -Wshadow -Wvla \
		-Wmissing-prototypes -Wstrict-prototypes -I"$top" -pthread -static \
		-o "$out/$name.new" "${sources[@]}"
	mv "$out/$name.new" "$out/$name"
}

exec {lock}>"$out/.lock"
flock "$lock"
for name in oracle drain churn ioctlfuzz freezekill; do
	build $name "$here/$name"
done
build boundary "$top/tests/bench/boundary" "$here/drain/mob.c"
for path in "$here"/cases/tools/*.c; do
	build "$(basename "$path" .c)" "$path"
done
