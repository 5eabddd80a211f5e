#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A black hole in the path: between agent and appliance is a link that large packets do not get through, and the routers at its
# ends say nothing of it (no ICMP comes back). A connection stands still as soon as either side has much to say; replication
# gets through all the same.
# timeout: 200
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"
cd "$tmp"

note "agent - router - narrow link - router - appliance, each in a network namespace of its own"
for ns in a r1 r2 b; do
	start "ns_$ns" ns.log unshare -n sleep 300
done
in_ns() { # NS COMMAND…
	local pid=${pid_of[ns_$1]}
	shift
	nsenter -t "$pid" -n "$@"
}
separate() { [ "$(readlink "/proc/${pid_of[ns_$1]}/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
link() { # NS ADDRESS NS ADDRESS MTU
	in_ns "$1" ip link add "to-$3" type veth peer name "to-$1" netns "/proc/${pid_of[ns_$3]}/ns/net"
	in_ns "$1" ip addr add "$2/24" dev "to-$3"
	in_ns "$3" ip addr add "$4/24" dev "to-$1"
	in_ns "$1" ip link set "to-$3" mtu "$5" up
	in_ns "$3" ip link set "to-$1" mtu "$5" up
}
for ns in a r1 r2 b; do
	until_true 5 "namespace $ns" separate "$ns"
	in_ns "$ns" ip link set lo up
done
link a 10.9.1.1 r1 10.9.1.2 1500
link r1 10.9.2.1 r2 10.9.2.2 1280
link r2 10.9.3.1 b 10.9.3.2 1500
in_ns a ip route add default via 10.9.1.2
in_ns r1 ip route add 10.9.3.0/24 via 10.9.2.2
in_ns r2 ip route add 10.9.1.0/24 via 10.9.2.1
in_ns b ip route add default via 10.9.3.1
for ns in r1 r2; do
	in_ns "$ns" bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	# what a router itself would say to the two ends, which is the ICMP message, is lost
	in_ns "$ns" ip rule add pref 1 iif lo to 10.9.1.0/24 blackhole
	in_ns "$ns" ip rule add pref 2 iif lo to 10.9.3.0/24 blackhole
done

control=8443 data=9443
appliance init --name 10.9.3.2 --control "10.9.3.2:$control" --data "10.9.3.2:$data" >init.out 2>&1 || fail "init: $(cat init.out)"
touch appliance.log
start appliance appliance.log nsenter -t "${pid_of[ns_b]}" -n "$bin/mobility-appliance" --dir "$appliance_dir" serve
until_serving
agent_config agent network.connect_timeout=2s network.stall_timeout=2s replication.compression=none
start agent agent/agent.log nsenter -t "${pid_of[ns_a]}" -n "$bin/mobilityd" --config "$tmp/agent/mobility.conf"
until_true 20 "the agent" agent_ready agent

note "small things get through, large ones vanish: the path is as it is meant to be"
appliance token --json >token.json
cat >probe.py <<'PYTHON'
# listen: answers how many bytes came before the end; else: sends so many, and waits 2 s for that answer
import socket, sys
if sys.argv[1] == "listen":
    s = socket.create_server(("10.9.3.2", 8000))
    print("ready", flush=True)
    while True:
        c = s.accept()[0]
        n = 0
        while data := c.recv(65536):
            n += len(data)
        c.sendall(str(n).encode())
        c.close()
s = socket.create_connection(("10.9.3.2", 8000), 2)
s.sendall(bytes(int(sys.argv[1])))
s.shutdown(socket.SHUT_WR)
sys.exit(s.recv(100) != sys.argv[1].encode())
PYTHON
start probe probe.log nsenter -t "${pid_of[ns_b]}" -n python3 probe.py listen
until_true 60 "the probe" grep -q ready probe.log
in_ns a python3 probe.py 1000 || fail "small packets do not get through"
! in_ns a python3 probe.py 50000 2>probe.out || fail "large packets get through"
grep -q 'timed out' probe.out || fail "large packets: $(tail -n 1 probe.out)"
kill9 probe

enrol() {
	jq -r .token token.json | ctl agent enroll "10.9.3.2:$control" \
		--fingerprint "$(jq -r .fingerprint token.json)" --token-file - >>enroll.out 2>&1
}
before=$SECONDS
until_true 20 "the enrolment" enrol
python3 "$flow/image.py" make a 12M random "$seed"
ctl agent protect a >protect.out
wait_protected agent 30
bookmark agent first
note "enrolled and protected after $((SECONDS - before)) s"
point_equals agent first a
for ns in a r1 r2 b; do
	kill9 "ns_$ns"
done
finish
