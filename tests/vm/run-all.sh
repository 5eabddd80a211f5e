#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run-all.sh [--list] [PATTERN]: every test-*.sh whose name matches, VM_JOBS (2) at a time: most guests keep one CPU of the
# host busy. A PASS or FAIL line for each as it ends, then the total. Logs: build/vm/logs/. --list: only their lines for pool.sh.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

list=""
if [ "${1-}" = --list ]; then list=1; shift; fi
# the long ones first, so that two at a time end together
long=(test-apps.sh test-oracle.sh test-agent.sh test-drain-kill.sh)
tests=()
for test in "${long[@]}" test-*.sh; do
	if [[ $test == test-*"${1-}"* && $test != test-lib.sh && " ${tests[*]} " != *" $test "* ]]; then
		tests+=("$test")
	fi
done
[ ${#tests[@]} -gt 0 ] || { echo "run-all.sh: no test is named *${1-}*" >&2; exit 2; }
lines=$(for test in "${tests[@]}"; do
	echo "$((1200 * ${MOBILITY_PATIENCE:-1})) ${test%.sh} $PWD/$test"
done)
if [ -n "$list" ]; then
	echo "$lines"
	exit
fi
../pool.sh --told vm "${VM_JOBS:-2}" ../../build/vm/logs <<<"$lines"
