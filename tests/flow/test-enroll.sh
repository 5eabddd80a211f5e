#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Enrolment: wrong, expired and used tokens and a wrong fingerprint are refused, each with its reason, and leave nothing behind; the
# token is in no process list and no log; keys are readable by their owner only.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
note "port 0 is a free port, told in run/ports.json and on the ready line"
appliance init --name 127.0.0.2,127.0.0.1,localhost --control 127.0.0.2:0 --data 127.0.0.2:0 >init.out
! appliance init --name again >again.out 2>&1 || fail "init overwrote an appliance"
[ -s again.out ] || fail "init refused without a reason"
start_appliance
control=$(jq .control "$appliance_dir/run/ports.json")
data=$(jq .data "$appliance_dir/run/ports.json")
grep -q "control on 127.0.0.2:$control, data on 127.0.0.2:$data" appliance.log || fail "ready line and ports.json differ"
! appliance serve >second.out 2>&1 || fail "a second serve on the same folder"
[ -s second.out ] || fail "the second serve gave no reason"

agent_config agent
start_agent agent
[ "$(status agent '.machine == null')" = true ] || fail "a machine before enrolment"
! ctl agent bookmark x --timeout 2s >unenrolled.out 2>&1 || fail "a bookmark before enrolment"

# try AGENT TOKEN FINGERPRINT [HOST:PORT]
try() { printf '%s\n' "$2" | ctl "$1" enroll "${4:-127.0.0.2:$control}" --fingerprint "$3" --token-file - >try.out 2>&1; }
refused() { # WHAT PATTERN
	note "$1: $(head -n 1 try.out)"
	grep -Eqi "$2" try.out || fail "$1: the reason is missing: $(cat try.out)"
	status agent '.machine == null' >refused.json || fail "$1 left an identity behind"
	[ "$(appliance machines --json | jq '(.machines? // .) | length')" -eq 0 ] || fail "$1 made a machine"
}

appliance token --json >token.json
token=$(jq -r .token token.json)
fingerprint=$(jq -r .fingerprint token.json)
[[ $fingerprint =~ ^sha256:[0-9a-f]{64}$ ]] || fail "fingerprint $fingerprint"
[ "${#token}" -ge 20 ] || fail "a token of ${#token} characters can be guessed"

try agent "${token}x" "$fingerprint" && fail "a wrong token was accepted"
refused "wrong token" token
try agent "" "$fingerprint" && fail "an empty token was accepted"
refused "empty token" token
try agent "token:       $token" "$fingerprint" && fail "a token with what is printed before it was accepted"
refused "the line that has the token" 'token alone'
wrong=sha256:$(printf '%064d' 7)
try agent "$token" "$wrong" && fail "a wrong fingerprint was accepted"
refused "wrong fingerprint" fingerprint
try agent "$token" "sha256:12" && fail "a malformed fingerprint was accepted"
refused "malformed fingerprint" 'fingerprint|sha256'
short=$(appliance token --expires 1s --json | jq -r .token)
sleep 2.2
try agent "$short" "$fingerprint" && fail "an expired token was accepted"
refused "expired token" expired
for never in 0s 3651d 200000d; do
	appliance token --expires $never >"$tmp/never" 2>&1 && fail "a token for $never was made"
	grep -q 'at most 3650d, not' "$tmp/never" || fail "refused otherwise: $(cat "$tmp/never")"
done
unused=0
new_port unused
try agent "$token" "$fingerprint" "127.0.0.2:$unused" && fail "enrolled with nobody"
refused "nobody listens" 'refused|connect'
start_proxy 127.0.0.3
try agent "$token" "$fingerprint" "127.0.0.3:$control" && fail "enrolled with a name that the certificate does not have"
refused "an address that the certificate does not name" '127\.0\.0\.3'
[ "$(proxy_stat accepted)" -ge 1 ] || fail "the wrong name was not tried"

note "an impostor with the true CA's certificate and its own behind it"
impostor=0
new_port impostor
jq -r .ca <(curl -sk "https://127.0.0.2:$control/v1/ca") >true-ca.pem
python3 "$flow/impostor.py" "$tmp/impostor" 127.0.0.3 "$impostor" "$tmp/true-ca.pem" >impostor.log 2>&1 &
pid_of[impostor]=$!
until_true 10 "the impostor" grep -q ready impostor.log
try agent "$token" "$fingerprint" "127.0.0.3:$impostor" && fail "enrolled with an impostor"
refused "an impostor" certificate
[ "$(head -n 1 impostor/asked)" = "GET /v1/ca" ] || fail "the impostor was not asked"
! grep -qaF -e "$token" impostor/asked || fail "an impostor has got the token"
! grep -qa POST impostor/asked || fail "an impostor was told more than it may know"
kill9 impostor

mkdir token-folder
! ctl agent enroll "127.0.0.2:$control" --fingerprint "$fingerprint" --token-file token-folder >try.out 2>&1 ||
	fail "a folder was read as a token"
refused "a folder in place of the token" 'Is a directory'

note "the token goes in by file, and is seen nowhere; a fingerprint is the same in capitals"
watch_ps() { while :; do ps -eo args >>ps.txt; sleep 0.02; done; }
watch_ps &
pid_of[watch]=$!
(umask 077 && printf '%s\n' "$token" >token-file)
ctl agent enroll "127.0.0.2:$control" --fingerprint "sha256:$(tr a-f A-F <<<"${fingerprint#*:}")" --token-file token-file >enroll.out 2>&1 ||
	fail "enroll: $(cat enroll.out)"
sleep 0.3
kill9 watch
! grep -qF -e "$token" ps.txt || fail "the token is in the process list"
! grep -rqF -e "$token" "$tmp"/*.log "$tmp/agent" enroll.out || fail "the token is in a log or in the agent's state"
! grep -qF -e "$token" try.out again.out || fail "the token is in a message"
! grep -rqaF -e "$token" "$appliance_dir" || fail "the appliance keeps the token in clear"
[ "$(appliance machines --json | jq '(.machines? // .) | length')" -eq 1 ] || fail "machines: $(appliance machines)"

note "private keys are for their owner only"
mapfile -t keys < <(grep -rlE 'BEGIN( EC)? PRIVATE KEY' "$tmp/agent" "$appliance_dir")
[ "${#keys[@]}" -ge 3 ] || fail "the keys were not found: ${keys[*]}"
for key in "${keys[@]}"; do
	[ "$(stat -c %a "$key")" = 600 ] || fail "$key has mode $(stat -c %a "$key")"
	! grep -rqaF -e "$(sed -n 2p "$key")" "$tmp"/*.log "$tmp"/agent/*.log || fail "$key is in a log"
done
[ "$(stat -c %a "$tmp/agent/sock")" = 600 ] || fail "the socket has mode $(stat -c %a "$tmp/agent/sock")"

note "a used token is used"
agent_config agent2
start_agent agent2
try agent2 "$token" "$fingerprint" && fail "a token was used twice"
grep -Eqi 'used' try.out || fail "used token: $(cat try.out)"
[ "$(status agent2 '.machine == null')" = true ] || fail "a used token left an identity"

note "the identity works, and outlives a restart"
id=$(machine agent)
python3 "$flow/image.py" make a 1M random 1
ctl agent protect a
wait_protected agent
stop agent
start_agent agent
[ "$(machine agent)" = "$id" ] || fail "another machine after a restart"
bookmark agent enrolled
point_equals agent enrolled a
finish
