#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the programs that run inside guests, statically, into build/vm/bin/: oracle (the write-order
# oracle), drain (a small user of the kernel module's interface), churn (a busy tree of files). Only what changed is built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
out=$top/build/vm/bin
mkdir -p "$out"

build() {		# NAME: from the .c files of the folder of that name
	local name=$1 dir=$here/$1 newest

	if [ -x "$out/$name" ]; then
		newest=$(find "$dir" "$top/include/mobility/uapi.h" -type f -newer "$out/$name")
		[ -n "$newest" ] || return 0
	fi
	"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -Wformat=2 -Wshadow -Wvla \
		-Wmissing-prototypes -Wstrict-prototypes -I"$top" -pthread -static \
		-o "$out/$name.new" "$dir"/*.c
	mv "$out/$name.new" "$out/$name"
}

exec {lock}>"$out/.lock"
flock "$lock"
for name in oracle drain churn; do
	build $name
done
