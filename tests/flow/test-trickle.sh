#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# One machine holds as much of the memory for bodies as it can get and sends a byte now and then: another's segments are stored all the while, and
# a body has to arrive in time.
# timeout: 150
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

appliance_init
start_appliance
for m in a b; do
	appliance token --json | python3 "$flow/enroll.py" "$tmp/$m" 127.0.0.2 "$control" "$data" "host-$m" >/dev/null
done
python3 "$flow/trickle.py" 127.0.0.2 "$control" "$data" "$tmp/a" "$tmp/b" || fail "one machine held what the other needed"
grep -q 'a body that came too slowly' "$tmp/appliance.log" || fail "the log does not tell"
finish
