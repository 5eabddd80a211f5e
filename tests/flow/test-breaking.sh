#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A network that carries no connection for as long as a segment takes: what is in the way resets each after 700 kB. Replication goes on in
# smaller parts, explain says so, and whole segments come back when connections hold.
# timeout: 240
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
mib=1048576
python3 "$flow/image.py" make a 12M random "$seed"
agent_config agent replication.connections=1 network.stall_timeout=2s network.connect_timeout=2s
appliance_init
start_appliance
start_proxy 127.0.0.1
start_agent agent
enroll agent 127.0.0.1

note "initial replication of 12 MiB, 700 kB for each connection"
proxy every reset up 700000
proxy close
ctl agent protect a
wait_protected agent 150
grep -q 'sending 256 KiB at a time' agent/agent.log || fail "segments were not parted"
ctl agent explain >explain.out
grep -q '^Bound by    breaks: .* break' explain.out || fail "explain says: $(cat explain.out)"
bookmark agent first
point_equals agent first a
up=$(proxy_stat bytes_up)
resets=$(proxy_stat reset)
note "$resets connections reset, $((up / mib)) MiB passed upwards"
[ "$resets" -ge 15 ] || fail "only $resets connections were reset"
# Of each connection two parts of 256 KiB pass and most of a third is lost, and larger requests are tried now and then.
[ "$up" -lt $((48 * mib)) ] || fail "$up bytes upwards for 12 MiB"

note "connections hold again: whole segments do, too"
proxy pass
proxy close
for n in 1 2 3 4 5 6 7; do
	dd if=/dev/urandom of=a bs=1M count=12 conv=notrunc status=none
	bookmark agent "after-$n"
done
grep -q 'sending whole segments' agent/agent.log || fail "segments are parted for ever"
point_equals agent after-7 a
finish
