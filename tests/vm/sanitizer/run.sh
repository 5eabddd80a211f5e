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
	tests=("./test-ioctl-fuzz.sh" "./test-torn.sh" "./test-track-only.sh" "sanitizer/races.sh")
	[ "$kind" != kcsan ] || tests+=("sanitizer/races.sh --seeded")
	for test in "${tests[@]}"; do
		log=../../build/vm/$kind-$(basename "${test// /}" .sh).log
		if $test >"$log" 2>&1; then
			grep "^PASS" "$log"
		else
			grep "^FAIL" "$log" || echo "FAIL $test: $log"
			failed=1
		fi
	done
fi
[ $failed -eq 0 ]
