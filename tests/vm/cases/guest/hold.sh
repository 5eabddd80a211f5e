# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An epoch that stays where a case wants it (drain hold), and waiting for what must come. Sourced by the
# scripts of cases in guests, after /guest/common.sh.
#   hold_start ARG…      takes a boundary; its epoch goes on to a stage (--until) and stays there
#   hold_wait STAGE      waits until it has come to closing, sealed, reading or read; $hold_line
#   hold_release         lets it go: closed, or with --commit read to its end and committed; $hold_line
#   hold_kill            kill -9 of whoever holds it
#   wait_until S TEXT COMMAND…  tries the command until it succeeds; after S seconds dies with TEXT
#   counter FILE NAME    a value of /sys/kernel/debug/mobility/FILE
# shellcheck disable=SC2034

hold_log=/tmp/hold.log hold_line=""

wait_until() {
	local end=$((SECONDS + $1)) text=$2

	shift 2
	until "$@"; do
		[ $SECONDS -lt $end ] || die "$text"
		sleep 0.02
	done
}

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
