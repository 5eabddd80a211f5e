#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the initramfs of the guests for a kernel: busybox, guest-init, guest-runner, and the kernel
# modules that the tests use. Prints its path.
#
# usage: initrd.sh RELEASE MODROOT	(as fetch-kernel.sh prints them)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

# loaded at boot, or asked for by a test; those that a kernel has built in, or lacks, are skipped
modules=(
	virtio_pci virtio_blk virtio_net virtio_console virtio_rng virtio_scsi sd_mod
	ext4 xfs btrfs vfat loop brd null_blk scsi_debug nbd sg nvme
	raid0 raid1 faulty xts algif_skcipher dm-mod dm-delay dm-flakey dm-log-writes dm-era dm-snapshot dm-crypt dm-thin-pool
	zram overlay fuse configfs
	# what those ask for by name when they are at work; generic kernels have them as modules
	crc32c_generic crc32c_intel xxhash_generic blake2b_generic sha256_generic
	aes_generic aesni_intel ecb cbc essiv authenc hmac
)

release=$1 modroot=$2

list_files() {		# the module files, with what they depend on, relative to MODROOT
	local module

	for module in "${modules[@]}"; do
		modprobe -d "$modroot" -S "$release" --show-depends "$module" 2>/dev/null || true
	done | awk '$1 == "insmod" { print $2 }' | sort -u | sed "s|^$modroot/||;s|^/*||"
	(cd "$modroot" && printf '%s\n' "lib/modules/$release"/modules.{builtin,builtin.modinfo,order})
}

store=$cache/initrd
# a kernel that was built or unpacked anew may have the release of the one before
key=$({
	cat "$here"/{guest-init,guest-runner,initrd.sh} /bin/busybox
	stat -c '%s %Y' "$modroot/lib/modules/$release/modules.dep"
} | sha256sum | cut -c1-16)
image=$store/$release-$key.cpio
mkdir -p "$store"
cache_lock "$store/.lock"
if [ ! -s "$image" ]; then
	rm -rf "$store"/.new.*
	# another tree that shares the cache may have another one in use
	find "$store" -name '*.cpio' -mtime +7 -delete
	tmp=$(mktemp -d "$store/.new.XXXXXX")
	mkdir -p "$tmp/root/bin"
	list_files | tar -C "$modroot" -cf - -T - | tar -C "$tmp/root" -xf -
	# busybox modprobe does not unpack them in every form that Debian uses
	find "$tmp/root" -name '*.ko.xz' -exec xz -d {} +
	find "$tmp/root" -name '*.ko.zst' -exec zstd -q -d --rm {} +
	depmod -b "$tmp/root" "$release"
	cp /bin/busybox "$tmp/root/bin/"
	cp "$here/guest-runner" "$tmp/root/"
	install -m 755 "$here/guest-init" "$tmp/root/init"
	(cd "$tmp/root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$tmp/image"
	mv "$tmp/image" "$image"
	rm -rf "$tmp"
fi
touch "$image"
echo "$image"
