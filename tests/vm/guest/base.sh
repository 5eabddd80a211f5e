# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What scripts in guests have in common, whatever they test. Sourced (bash, `set -euo pipefail`).
#   die TEXT…            ends the script; its last line is the reason of the failure
#   value NAME LINE      the value of NAME=… in a line that drain prints
#   status_of NAME DEVICE   the same, of drain status
#   wait_until S TEXT COMMAND…  tries the command until it succeeds; after S seconds, times $patience
#                        (MOBILITY_PATIENCE of the host), dies with TEXT
#   nap SECONDS          sleeps, without a process (nap.sh)
#   null_blk NAME SETTING=VALUE…  makes the disk /dev/NAME with these settings of configfs; one that
#                        begins with "?" is left out where the kernel does not know it
#   striped NAME DEVICE DEVICE   makes /dev/mapper/NAME of two devices of the same size, in stripes of 4 KiB

# shellcheck source=tests/nap.sh
. "${BASH_SOURCE[0]%/*}/nap.sh"

die() { echo "$*" >&2; exit 1; }

value() { sed -n "s/.*\<$1=\([^ ]*\).*/\1/p" <<<"$2"; }

status_of() { value "$1" "$(drain status "$2")"; }

patience=$(sed -n 's/.*\<mob\.patience=\([0-9]*\).*/\1/p' /proc/cmdline)
patience=${patience:-1}

wait_until() {
	local end=$((SECONDS + $1 * patience)) text=$2

	shift 2
	until "$@"; do
		[ $SECONDS -lt $end ] || die "$text"
		nap 0.02
	done
}

null_blk() {
	local name=$1 dir=/sys/kernel/config/nullb/$1 setting file

	shift
	modprobe configfs || true		# built in, where it is not a module
	grep -q " /sys/kernel/config " /proc/mounts || mount -t configfs configfs /sys/kernel/config
	modprobe null_blk nr_devices=0
	mkdir "$dir"
	for setting in "$@" power=1; do
		file=${setting%=*}
		[ "${file#\?}" = "$file" ] || [ -e "$dir/${file#\?}" ] || continue
		echo "${setting#*=}" >"$dir/${file#\?}"
	done
	[ -b "/dev/$name" ] || die "null_blk makes no /dev/$name"
}

striped() {
	echo "0 $(($(blockdev --getsz "$2") * 2)) striped 2 8 $2 0 $3 0" | dmsetup create --noudevsync "$1"
	dmsetup mknodes "$1"
}
