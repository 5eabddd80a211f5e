#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cases that block trackers get wrong, each in a guest: NN-*.sh. A PASS or FAIL line for each
# as it ends, then the total. Logs: build/vm/logs/, or the folder CASE_LOGS.
#
# usage: run.sh [--list] [PATTERN...]	all of them, or those whose name begins with one of these
# --list: as pool.sh has it.
# CASE_JOBS (2) run at a time; MOBILITY_PATIENCE as in functions.sh. Another kernel: MOBILITY_KERNEL, MOBILITY_FLAVOUR (fetch-kernel.sh).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

list=()
if [ "${1-}" = --list ]; then list=(--list); shift; fi
names=()
for pattern in "${@:-}"; do
	for file in "$pattern"*.sh; do
		[[ $file != [0-9][0-9]-* ]] || names+=("${file%.sh}")
	done
done
[ ${#names[@]} -gt 0 ] || { echo "run.sh: no case begins with: $*" >&2; exit 2; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ${#list[@]} -eq 0 ] && ! { ../build-tools.sh && ../build-kmod.sh; } >"$log" 2>&1; then
	tail -n 20 "$log"
	exit 1
fi
for name in "${names[@]}"; do
	echo "$((${CASE_TIMEOUT:-900} * ${MOBILITY_PATIENCE:-1})) $name $PWD/$name.sh"
done | ../../pool.sh "${list[@]}" --told --first '^09-' cases "${CASE_JOBS:-2}" "${CASE_LOGS:-../../../build/vm/logs}"
