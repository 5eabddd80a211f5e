#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs tests, some at a time, and prints a PASS, SKIP or FAIL line for each as it ends, below a FAIL the end
# of its log. The tests come on standard input, one in a line, the long ones best first (--first): LIMIT NAME COMMAND…,
# LIMIT in seconds. A test passes with status 0, and fails with any other; so does one that leaves no line.
# A line of its own that begins with "PASS NAME" or "FAIL NAME" is printed in the place of the plain one.
#
# usage: pool.sh [--told] [--may-skip] [--first REGEX] [--list] SUITE JOBS LOGS <TESTS	LOGS: the folder for NAME.log
# --told: a test has passed only if it also says so. --may-skip: 77 is a test that cannot be run here, and says why in its last
# line. A test that ends with 75 says that what it runs in has failed, not what it is about: it is run a second time, and its line
# says so. --first: the tests with such a name before the others. --list: the tests in their order, for a pool with more of them, and none
# is run. Ends in "SUITE: N passed, N failed"; status 1 if a test failed, or none ran.
set -uo pipefail

told="" may_skip="" first="" list=""
while :; do
	case ${1-} in
	--told) told=1 ;;
	--may-skip) may_skip=1 ;;
	--first) first=$2; shift ;;
	--list) list=1 ;;
	*) break ;;
	esac
	shift
done
suite=$1 jobs=$2 logs=$3

run_one() {		# LIMIT NAME COMMAND…
	local limit=$1 name=$2 log=$logs/$2.log status=0 start=$SECONDS said verdict again=""

	shift 2
	mkdir -p "${log%/*}"
	timeout -k 30 "$limit" "$@" >"$log" 2>&1 || status=$?
	if [ $status -eq 75 ]; then
		again=", the second time: $(tail -n 1 "$log")" status=0
		mv "$log" "$log.first"
		timeout -k 30 "$limit" "$@" >"$log" 2>&1 || status=$?
	fi
	verdict="exit $status, $((SECONDS - start)) s$again"
	case $status in
	0)
		said=$(grep -a "^PASS $name" "$log" | tail -n 1)
		if [ -n "$said" ] || [ -z "$told" ]; then
			echo "${said:-PASS $name} ($((SECONDS - start)) s$again)"
			return
		fi
		verdict="it did not say that it passed, $((SECONDS - start)) s$again" ;;
	77) [ -z "$may_skip" ] || { echo "SKIP $name: $(tail -n 1 "$log")"; return; } ;;
	124) verdict="longer than its limit of $limit s" ;;
	esac
	said=$(grep -a "^FAIL $name" "$log" | tail -n 1)
	echo "${said:-FAIL $name} ($verdict)"
	grep -av "^FAIL $name" "$log" | tail -n 60 | sed 's/^/    /'
}

# its lines together, though another test ends at the same time
report() {		# LINE
	local result words

	read -ra words <<<"$1"
	result=$(run_one "${words[@]}")
	flock "$lock" cat <<<"$result"
}
export -f run_one report

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
lock=$scratch/lock
export told may_skip logs lock
mapfile -t tests < <(awk -v first="$first" '{ print first != "" && $2 ~ first ? 0 : 1, $0 }' | sort -s -k1,1n | cut -d' ' -f2-)
if [ -n "$list" ]; then
	[ ${#tests[@]} -eq 0 ] || printf '%s\n' "${tests[@]}"
	exit
fi
[ ${#tests[@]} -gt 0 ] || { echo "$suite: 0 passed, 0 failed"; exit 1; }
# shellcheck disable=SC2016
printf '%s\n' "${tests[@]}" | xargs -d '\n' -n 1 -P "$jobs" bash -c 'report "$0"' | tee "$scratch/results"
passed=$(grep -ac '^PASS ' "$scratch/results")
failed=$((${#tests[@]} - passed - $(grep -ac '^SKIP ' "$scratch/results")))
echo "$suite: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
