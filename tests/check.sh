#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [SUITE…]: runs the suites (all by default) and totals their PASS and FAIL lines. A suite that
# fails without a FAIL line counts as one failure. Logs: build/check/SUITE.log. Ends in "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit
mkdir -p build/check
passed=0
failed=0
failures=()

suite() { # NAME COMMAND…
	local name=$1 log=build/check/$1.log start=$SECONDS status p f
	shift
	echo "== $name"
	"$@" >"$log" 2>&1
	status=$?
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

all=(build lint unit model fuzz flow vm cases kmatrix demo)
[ $# -gt 0 ] || set -- "${all[@]}"
for s in "$@"; do
	case $s in
	build) make -s -j2 all || exit 1 ;;
	lint) suite lint tests/lint/run.sh ;;
	unit) unit ;;
	model) suite model tests/model/run.sh ;;
	fuzz) suite fuzz tests/fuzz/run.sh "${FUZZ_SECONDS:-20}" ;;
	flow) suite flow tests/flow/run-all.sh ;;
	vm) suite vm tests/vm/run-all.sh ;;
	cases)
		suite mutations tests/vm/cases/mutate.sh --apply
		suite cases tests/vm/cases/run.sh
		;;
	kmatrix) CASES="02 13 14" suite kmatrix tests/vm/kmatrix.sh bookworm/6.12/cloud-amd64 ;;
	demo) suite demo bash -c 'tests/vm/demo.sh && echo "PASS demo" || echo "FAIL demo"' ;;
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
