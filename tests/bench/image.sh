#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the image that the replication benchmark moves, once: 4 GiB of ext4 half filled with real files
# of /usr (about 1.9 GiB that is not zero), sparse. Prints its name.
#
# usage: image.sh	MOBILITY_CACHE: where it is kept
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${MOBILITY_CACHE:-$top/.cache}/bench
image=$cache/replication.img
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$image" ]; then
	stage=$(mktemp -d "$cache/stage.XXXXXX")
	trap 'rm -rf "$stage" "$image.new"' EXIT
	# Files in the order of their names' digests: a fair mix of what /usr has.
	find /usr -xdev -type f -size -64M -printf '%s %p\n' | python3 -c '
import hashlib, sys
rows = [line.rstrip("\n").split(" ", 1) for line in sys.stdin]
rows.sort(key=lambda row: hashlib.sha256(row[1].encode()).digest())
left = int(1.86 * 2**30)
for size, path in rows:
    blocks = (int(size) + 4095) // 4096 * 4096
    if blocks <= left:
        left -= blocks
        sys.stdout.write(path + "\0")
' >"$stage/list"
	mkdir "$stage/root"
	(cd / && xargs -0 -a "$stage/list" cp -al --parents -t "$stage/root" 2>/dev/null) ||
		(cd / && xargs -0 -a "$stage/list" cp -a --parents -t "$stage/root")
	truncate -s 4G "$image.new"
	mke2fs -q -F -t ext4 -N 400000 -d "$stage/root" "$image.new"
	mv "$image.new" "$image"
fi
echo "$image"
