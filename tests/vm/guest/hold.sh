# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An epoch that stays where a script wants it (drain hold). Sourced by the scripts that run in guests
# (bash, `set -euo pipefail`).
#   hold_start ARG…      takes a boundary; its epoch goes on to a stage (--until) and stays there
#   hold_wait STAGE      waits until it has come to closing, sealed, reading or read; $hold_line
#   hold_release         lets it go: closed, or with --commit read to its end and committed; $hold_line
#   hold_kill            kill -9 of whoever holds it
#   counter FILE NAME    a value of /sys/kernel/debug/mobility/FILE
# shellcheck disable=SC2034

# shellcheck source=tests/vm/guest/base.sh
. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

hold_log=/tmp/hold.log hold_line=""

hold_start() {
	: >$hold_log
	drain hold "$@" >$hold_log 2>&1 &
	hold_pid=$!
}

hold_reached() {	# STAGE
	hold_line=$(grep "^hold: stage=$1 " $hold_log) && return 0
	kill -0 "$hold_pid" 2>/dev/null || die "the holder of an epoch ended: $(tail -n 1 $hold_log)"
	return 1
}

hold_wait() {
	wait_until 120 "no epoch came to the stage $1 in two minutes" hold_reached "$1"
}

hold_release() {
	kill -TERM "$hold_pid"
	wait "$hold_pid" || die "the holder of an epoch failed: $(tail -n 1 $hold_log)"
	hold_line=$(tail -n 1 $hold_log)
}

hold_kill() {
	kill -KILL "$hold_pid"
	wait "$hold_pid" || true
}

counter() {
	awk -v name="$2" '$1 == name { print $2 }' "/sys/kernel/debug/mobility/$1"
}
