#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh PROGRAM…: runs these unit tests, two at a time, a PASS or FAIL line each.
set -uo pipefail
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# the long ones first, so that two at a time end together
printf '%s\n' "$@" | awk '{ print /test_(fold|journal)$/ ? 0 : 1, $0 }' | sort -s -k1,1n | cut -d' ' -f2- |
	while read -r program; do
		echo "600 ${program#build/} $program"
	done | "$(dirname "$0")/../pool.sh" unit 2 "$logs"
