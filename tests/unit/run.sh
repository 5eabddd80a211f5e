#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh PROGRAM…: runs these unit tests, two at a time, a PASS or FAIL line each.
set -uo pipefail

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
printf '%s\n' "$@" | awk '{ print /test_(fold|journal)$/ ? 0 : 1, $0 }' | sort -s -k1,1n | cut -d' ' -f2- |
	xargs -r -P 2 -I{} bash -c 'run_one {}'
