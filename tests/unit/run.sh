#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh PROGRAM…: runs these unit tests, two at a time, a PASS or FAIL line each.
set -uo pipefail
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# 256 MiB of what was freed last, as by default, are that many pages to be touched for the first time: a quarter of the time.
export ASAN_OPTIONS=quarantine_size_mb=16${ASAN_OPTIONS:+:$ASAN_OPTIONS}

for program; do
	echo "600 ${program#build/} $program"
done | "$(dirname "$0")/../pool.sh" --first '/test_(fold|journal)$' unit 2 "$logs"
