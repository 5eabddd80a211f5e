#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh PROGRAM…: runs these unit tests, two at a time, a PASS or FAIL line each.
set -uo pipefail
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

for program; do
	echo "600 ${program#build/} $program"
done | "$(dirname "$0")/../pool.sh" --first '/test_(fold|journal)$' unit 2 "$logs"
