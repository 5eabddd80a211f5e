#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh DIR: runs every unit test program below DIR, two at a time, a PASS or FAIL line each.
set -uo pipefail
dir=$1

run_one() {
	local log
	log=$(mktemp)
	if timeout -k 5 600 "$1" >"$log" 2>&1; then
		echo "PASS ${1#build/}"
	else
		echo "FAIL ${1#build/} (exit $?)"
		tail -n 40 "$log" | sed 's/^/    /'
	fi
	rm -f "$log"
}
export -f run_one

# the long ones first, so that two at a time end together
{
	find "$dir" -type f -perm -u+x -name test_fold -o -type f -perm -u+x -name test_journal
	find "$dir" -type f -perm -u+x -name 'test_*' | sort
} | awk '!seen[$0]++' | xargs -r -P 2 -I{} bash -c 'run_one {}'
