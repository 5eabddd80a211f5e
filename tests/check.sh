#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [SUITE…]: runs the suites (by default all that are needed; guests has vm, cases, kmatrix and demo) and totals their
# PASS and FAIL lines. A suite that fails without a FAIL line counts as one failure. Logs: build/check/SUITE.log. Ends in
# "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit
mkdir -p build/check
passed=0
failed=0
failures=()

# What the log of a suite says that has ended.
told() { # NAME STATUS START
	local name=$1 log=build/check/$1.log status=$2 start=$3 p f

	grep -E '^(PASS|FAIL|SKIP) ' "$log"
	p=$(grep -c '^PASS ' "$log")
	f=$(grep -c '^FAIL ' "$log")
	if [ "$f" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$p" -eq 0 ]; }; then
		echo "FAIL $name: exit status $status and $p passes; the end of $log:"
		tail -n 40 "$log" | sed 's/^/    /'
		f=1
		failures+=("FAIL $name (exit $status)")
	fi
	if [ "$f" -gt 0 ]; then
		mapfile -t -O ${#failures[@]} failures < <(grep -A 30 '^FAIL ' "$log")
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	echo "== $name: $p passed, $f failed, $((SECONDS - start)) s"
}

suite() { # NAME COMMAND…
	local name=$1 start=$SECONDS

	shift
	echo "== $name"
	"$@" >"build/check/$name.log" 2>&1
	told "$name" $? "$start"
}

# lint with what the others leave idle. A process group of its own, which an interrupted check ends; not a session, in which a
# kernel with autogroups would not look at its niceness.
lint_beside() {
	echo "== lint"
	lint_start=$SECONDS
	set -m
	nice -n 19 tests/lint/run.sh >build/check/lint.log 2>&1 </dev/null &
	set +m
	lint_job=$!
	trap 'kill -- "-$lint_job" 2>/dev/null' EXIT
}

lint_end() {
	local status=0

	wait "${lint_job:?lint-end without lint-beside}" || status=$?
	trap - EXIT
	told lint $status "$lint_start"
}

variant() { # NAME MAKE-ARGUMENTS… : build everything and run the unit tests in a variant
	local name=$1
	shift
	suite "unit-$name" make -s -j2 "$@" unit
}

unit() {
	variant gcc-asan-ubsan SAN=address,undefined
	variant clang-tsan CC=clang SAN=thread
	# the agent and the appliance themselves, whole, at their work
	MOBILITY_BIN=build/san-thread/clang/bin FLOW_OUT=build/flow-tsan FLOW_JOBS=2 suite flow-tsan tests/flow/run-all.sh initial faults fold
}

# Every guest in one pool, the long ones first: no processor waits for the end of a suite.
second_kernel=bookworm/6.12/cloud-amd64
second_cases="02 13 14"
guests() {
	{
		echo "1800 kmatrix $PWD/tests/vm/kmatrix.sh $second_kernel"
		tests/vm/run-all.sh --list
		echo "1200 demo $PWD/tests/vm/demo.sh"
		tests/vm/cases/run.sh --list
	} | CASES=$second_cases CASE_JOBS=1 tests/pool.sh --told guests "${VM_JOBS:-2}" build/vm/logs
}

all=(build lint-beside unit model fuzz flow mutations lint-end guests)
[ $# -gt 0 ] || set -- "${all[@]}"
for s in "$@"; do
	case $s in
	build) make -s -j2 all || exit 1 ;;
	lint) suite lint tests/lint/run.sh ;;
	lint-beside) lint_beside ;;
	lint-end) lint_end ;;
	unit) unit ;;
	model) suite model tests/model/run.sh ;;
	fuzz) suite fuzz tests/fuzz/run.sh "${FUZZ_SECONDS:-20}" ;;
	flow) suite flow tests/flow/run-all.sh ;;
	vm) suite vm tests/vm/run-all.sh ;;
	mutations) suite mutations tests/vm/cases/mutate.sh --apply ;;
	cases) suite cases tests/vm/cases/run.sh ;;
	kmatrix) CASES=$second_cases suite kmatrix tests/vm/kmatrix.sh $second_kernel ;;
	demo) suite demo tests/vm/demo.sh ;;
	guests) suite guests guests ;;
	*)
		echo "check.sh: unknown suite '$s'; there are: ${all[*]}" >&2
		exit 2
		;;
	esac
done

if [ "$failed" -gt 0 ]; then
	printf '\nWhat failed:\n'
	printf '%s\n' "${failures[@]}"
fi
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
