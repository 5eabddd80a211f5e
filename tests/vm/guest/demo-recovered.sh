#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The recovered machine of `make demo`, booted from the recovered disks: /ledger has the files that must be
# here, "SHA256  PATH" a line, as sha256sum checks them.
set -euo pipefail

fail() {
	echo "recovered machine: $*"
	exit 1
}

echo "recovered machine: booted from the recovered root disk"
mount /dev/vdb /data || fail "the data disk does not mount"
# The boundary may have come between a file's two renames (demo-workload.sh): it has its other name then, and no file has both.
for kept in /data/files/*.kept /srv/files/*.kept; do
	[ -e "$kept" ] || continue
	[ ! -e "${kept%.kept}" ] || fail "a renamed file has both names: $kept"
	mv "$kept" "${kept%.kept}"
	echo "recovered machine: $kept was being renamed at the boundary"
done
sha256sum --quiet --strict -c /ledger || fail "files are missing or wrong"
umount /data
xfs_repair -n /dev/vdb >/out/xfs_repair.log 2>&1 || fail "xfs_repair -n found: $(tail -n 3 /out/xfs_repair.log)"
echo "recovered machine: $(wc -l </ledger) files are here with their checksums; xfs_repair -n finds nothing"
