#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Segments and commits sent twice are stored once, at once or after kill -9; conflicting ones are refused; a commit with a missing segment is
# refused and its epoch invisible; enrolling twice with one key gives one machine.
# timeout: 60
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
appliance_init
start_appliance
appliance token --json >token.json
id=$(python3 "$flow/enroll.py" "$tmp/m" 127.0.0.2 "$control" "$data" host-m <token.json)
step() { python3 "$flow/idempotence.py" 127.0.0.2 "$control" "$data" "$tmp/m" "$1" "$appliance_dir" || fail "$1 step"; }

step first
! appliance export "$id" latest --format raw "$tmp" >none.out 2>&1 || fail "an epoch that is not committed was exported"
kill9 appliance
start_appliance
step second
kill9 appliance
start_appliance
step third
export_point "$id" latest "$tmp/exported"
cmp m/one.image exported/one.raw || fail "the image is not what was committed"
[ ! -e exported/two.raw ] || fail "a deleted disk is in a new point"
export_point "$id" mark "$tmp/exported"
[ "$(stat -c %s exported/two.raw)" -eq $((4 << 20)) ] || fail "the old point has lost its size"

note "a lost answer to enrolment: the same token with the same key is the same machine, with another key it is used"
appliance token --json >token.json
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k1 -subj /CN=x -out c1 2>/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k2 -subj /CN=x -out c2 2>/dev/null
enrol() {
	jq -n --rawfile csr "$1" --slurpfile t token.json '{token: $t[0].token, hostname: "x", csr: $csr}' |
		curl -s -o answer.json -w '%{http_code}' --cacert m/ca.pem -H 'Content-Type: application/json' --data @- "https://127.0.0.2:$control/v1/enroll"
}
[ "$(enrol c1)" = 201 ] || fail "enrol: $(cat answer.json)"
cp answer.json first.json
[[ $(enrol c1) =~ ^20[01]$ ]] || fail "the same again: $(cat answer.json)"
cmp <(jq -S . first.json) <(jq -S . answer.json) || fail "another answer to the same request"
[ "$(enrol c2)" = 401 ] || fail "another key: $(cat answer.json)"
[ "$(jq -r .error answer.json)" = used-token ] || fail "another key: $(cat answer.json)"
kill9 appliance
start_appliance
[[ $(enrol c1) =~ ^20[01]$ ]] || fail "the same again after a kill: $(cat answer.json)"
[ "$(jq -r .machine answer.json)" = "$(jq -r .machine first.json)" ] || fail "another machine after a kill"
[ "$(appliance machines --json | jq '(.machines? // .) | length')" -eq 2 ] || fail "machines: $(appliance machines)"
finish
