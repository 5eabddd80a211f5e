#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [SECONDS] [NAME…]: builds the fuzzers and runs each (all by default) for SECONDS (default 60) from its
# seeds and what earlier runs have found (build/fuzz/corpus). A PASS or FAIL line each; an input that
# fails is left in build/fuzz/failed, to be run again with build/fuzz/NAME FILE.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
shift || true
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(segment json conf control shim)

san=address,undefined
objects=build/san-fuzzer-no-link,$san/clang
flags=(-O1 -g -fno-sanitize-recover=undefined)
make -s CC=clang SAN="fuzzer-no-link,$san" CFLAGS="${flags[*]}" \
	"$objects/libmobility.a" "$objects/libappliance.a" "$objects/libagent.a" "$objects/libshim.a"

declare -A more=([segment]=tests/fuzz/segment_mutator.c [json]="$objects/libappliance.a" [control]="$objects/libagent.a"
	[shim]="$objects/libshim.a")
declare -A max_len=([segment]=65536 [json]=4096 [conf]=4096 [control]=8192 [shim]=8192)
declare -A least=([segment]=90 [json]=240 [conf]=100 [control]=200 [shim]=200) # edges: a little more than the seeds alone reach

read -ra libs <<<"$(pkg-config --cflags --libs openssl zlib libzstd jansson inih libcurl libmicrohttpd sqlite3 gnutls libsystemd blkid liburcu-memb)"

build() { # NAME
	# shellcheck disable=SC2086 # a list of files
	clang -std=gnu11 -D_GNU_SOURCE -I. -pthread -Wall -Wextra -Werror "${flags[@]}" \
		-fsanitize="fuzzer,$san" -o "build/fuzz/$1" "tests/fuzz/fuzz_$1.c" ${more[$1]-} \
		"$objects/libmobility.a" "${libs[@]}"
}

fuzz() { # NAME
	local dictionary=()
	[ ! -f "tests/fuzz/$1.dict" ] || dictionary=(-dict="tests/fuzz/$1.dict")
	mkdir -p "build/fuzz/corpus/$1" "build/fuzz/failed/$1"
	ASAN_OPTIONS=detect_leaks=1 "build/fuzz/$1" -max_total_time="$seconds" -max_len="${max_len[$1]}" \
		-timeout=20 -rss_limit_mb=2048 -print_final_stats=1 "${dictionary[@]}" \
		-artifact_prefix="build/fuzz/failed/$1/" "build/fuzz/corpus/$1" "tests/fuzz/seeds/$1" \
		>"build/fuzz/$1.log" 2>&1
}

# The last "cov: N" of libFuzzer's log.
coverage() { # LOG
	grep -o 'cov: [0-9]*' "$1" | tail -n 1 | cut -d ' ' -f 2
}

mkdir -p build/fuzz
for name in "${names[@]}"; do
	build "$name"
done

declare -A pid
for name in "${names[@]}"; do
	fuzz "$name" &
	pid[$name]=$!
done
failed=0
for name in "${names[@]}"; do
	log=build/fuzz/$name.log
	status=0
	wait "${pid[$name]}" || status=$?
	cov=$(coverage "$log" || true)
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	reached=$(sed -n 's/^reached: //p' "$log")
	if [ "$status" -ne 0 ]; then
		echo "FAIL fuzz-$name: exit status $status; the end of $log:"
		grep -v '^#' "$log" | tail -n 40
		failed=1
	elif [ "${cov:-0}" -lt "${least[$name]}" ] || grep -q '\b0 [a-z]*,\? .*accepted\|^reached: 0' "$log"; then
		echo "FAIL fuzz-$name: only $cov edges covered ($reached): the seeds or the fuzzer do not work"
		failed=1
	else
		echo "PASS fuzz-$name: $runs runs, $cov edges; $reached"
	fi
done
# What the fuzzer has found is also what the library and the independent decoder may judge differently.
if [ -d build/fuzz/corpus/segment ]; then
	clang -std=gnu11 -D_GNU_SOURCE -I. -pthread -Wall -Wextra -Werror "${flags[@]}" -fsanitize="$san" \
		-o build/fuzz/verdict tests/interop/verdict.c "$objects/libmobility.a" "${libs[@]}"
	python3 tests/interop/verdicts.py build/fuzz/verdict build/fuzz/corpus/segment tests/fuzz/seeds/segment || failed=1
fi
exit $failed
