#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Malformed segments, JSON, paths and requests, replays, and half-open connections: each is refused with its status and code while another
# machine replicates undisturbed, whose bytes are seen by nobody else.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

appliance_init
start_appliance
a=$(appliance token --json | python3 "$flow/enroll.py" "$tmp/a" 127.0.0.2 "$control" "$data" host-a)
b=$(appliance token --json | python3 "$flow/enroll.py" "$tmp/b" 127.0.0.2 "$control" "$data" host-b)
[ "$a" != "$b" ] || fail "two machines with one id"
python3 "$flow/bad_input.py" 127.0.0.2 "$control" "$data" "$tmp/a" "$tmp/b" "${pid_of[appliance]}" ||
	fail "not all of it was refused as the protocol says"
alive appliance || fail "the appliance did not survive"

note "machine B's points are all there and right after a restart"
kill9 appliance
start_appliance
export_point "$b" latest "$tmp/exported"
[ "$(grep -c 'THE SECRET OF MACHINE B' "$tmp/exported/neighbour.raw")" -gt 0 ] || fail "the neighbour's bytes are not there"
export_point "$a" latest "$tmp/exported-a"
! grep -q 'SECRET OF MACHINE B' "$tmp"/exported-a/*.raw || fail "bytes of B in an image of A"
finish
