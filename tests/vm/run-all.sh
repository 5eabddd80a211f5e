#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run-all.sh [--list] [PATTERN]: every test-*.sh whose name matches, VM_JOBS (2) at a time: most guests keep one CPU of the
# host busy. A PASS or FAIL line for each as it ends, then the total. Logs: build/vm/logs/. --list: as pool.sh has it.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

list=()
if [ "${1-}" = --list ]; then list=(--list); shift; fi
tests=()
for test in test-*.sh; do
	if [[ $test == test-*"${1-}"* && $test != test-lib.sh ]]; then
		tests+=("$test")
	fi
done
[ ${#tests[@]} -gt 0 ] || { echo "run-all.sh: no test is named *${1-}*" >&2; exit 2; }
for test in "${tests[@]}"; do
	echo "$((1200 * ${MOBILITY_PATIENCE:-1})) ${test%.sh} $PWD/$test"
done | ../pool.sh "${list[@]}" --told --first '^test-(apps|oracle|agent|drain-kill)$' vm "${VM_JOBS:-2}" ../../build/vm/logs
