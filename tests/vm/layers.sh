# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Options that put the programs of guest/layers.sh into a busybox guest. Sourced.
# shellcheck disable=SC2034

layers_bins=()
for layers_program in sfdisk cryptsetup lvm dmsetup mdadm blockdev mke2fs; do
	layers_bins+=(--bin "$(PATH=$PATH:/usr/sbin:/sbin command -v "$layers_program")")
done
for layers_program in pvcreate vgcreate vgchange vgremove vgscan lvcreate lvextend; do
	layers_bins+=(--bin "$(PATH=$PATH:/usr/sbin:/sbin command -v lvm):/usr/local/bin/$layers_program")
done
