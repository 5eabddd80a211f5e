#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The guest tests of the module in a kernel that checks itself (build.sh): the cases, the ioctl
# fuzzer, and those of the other tests that are about the module alone. Any report of the kernel
# fails a test (vm_alarms in functions.sh), and so does leaked memory (guest-runner).
#
# usage: run.sh kasan|kcsan [CASE-PATTERN...]
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kind=${1-}
case $kind in
kasan|kcsan) shift ;;
*) echo "usage: run.sh kasan|kcsan [CASE-PATTERN...]" >&2; exit 2 ;;
esac
cd "$here/.." || exit 1
export MOBILITY_KERNEL=$kind CASE_TIMEOUT=3600
./fetch-kernel.sh "$kind" >/dev/null || exit 1
failed=0
cases/run.sh "$@" || failed=1
if [ $# -eq 0 ]; then
	logs=$PWD/../../build/vm/$kind-logs
	for test in test-ioctl-fuzz test-attach-inflight test-held-order test-hung-disk test-torn test-unseen test-track-only \
		sanitizer/races; do
		echo "$CASE_TIMEOUT $(basename "$test") ./$test.sh"
	done | ../pool.sh --told "$kind" "${CASE_JOBS:-2}" "$logs" || failed=1
	if [ "$kind" = kcsan ]; then
		echo "$CASE_TIMEOUT races ./sanitizer/races.sh --seeded" | ../pool.sh --told "$kind-seeded" 1 "$logs" || failed=1
	fi
fi
[ $failed -eq 0 ]
