#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The network as it may be: IPv6, a name with several addresses of which the first does not answer, a bandwidth limit that all
# connections share, an HTTP proxy with a password and exceptions from it, and a certificate that expires again and again
# while a transfer is under way. status and explain tell what is; no password is in a log, a status or a command line.
# timeout: 240
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
mib=1048576
python3 "$flow/image.py" make a 20M random "$seed"

note "an appliance on IPv6 and IPv4 at once, with certificates that live for 8 s"
new_port control
new_port data
appliance init --name 127.0.0.2,127.0.0.1,::1,localhost --control "[::]:$control" --data "[::]:$data" >init.out 2>&1 ||
	fail "init: $(cat init.out)"
appliance_set identity client_certificate_life 8s
start_appliance
limit=2 # MiB/s
agent_config agent "network.bandwidth_limit=none;Mon-Sun ${limit}M" replication.workers=4 replication.compression=none
start_agent agent
enroll agent "[::1]"
status agent '.appliance.url' | grep -qF "[::1]:$control" || fail "the address is not shown as IPv6"

note "20 MiB over four connections: the limit holds for their sum, certificates are renewed meanwhile"
before=$(date +%s%N)
ctl agent protect a >protect.out
sleep 4 # of a transfer of 10
status agent ".bandwidth.now_bytes_per_s == $((limit * mib))" >/dev/null || fail "status does not tell the limit"
ctl agent explain >explain.out
ctl agent explain --json >explain.json
jq -e '.bound == "bandwidth-limit" and .busy["bandwidth-limit"] > 1' explain.json >/dev/null ||
	fail "explain says $(jq -c '[.bound, .busy]' explain.json)"
grep -q 'bandwidth_limit' explain.out || fail "explain gives no advice: $(cat explain.out)"
wait_protected agent 60
took=$((($(date +%s%N) - before) / 1000000))
sent=$(status agent .totals.sent_bytes)
rate=$((sent * 1000 / took))
note "$sent bytes in $took ms: $rate bytes/s of $((limit * mib))"
# what is waited for at both ends (the first epoch, the commit, a busy machine) only lowers the rate; test_rate.c is exact
[ "$rate" -le $((limit * mib * 11 / 10)) ] || fail "the limit was broken"
[ "$rate" -ge $((limit * mib / 2)) ] || fail "the limit is not reached"
renewed=$(grep -c 'the certificate was renewed' agent/agent.log) || true
[ "$renewed" -ge 2 ] || fail "renewed $renewed times"
bookmark agent first
point_equals agent first a
[ "$(status agent '.totals.retries')" -eq 0 ] || fail "an expiry cost a retry: $(grep 'again' agent/agent.log)"

note "certificates are renewed while replication is paused, too"
ctl agent pause
renewed=$(grep -c 'the certificate was renewed' agent/agent.log)
sleep 9
[ "$(grep -c 'the certificate was renewed' agent/agent.log)" -gt "$renewed" ] || fail "it was not renewed"
ctl agent resume
bookmark agent resumed
stop agent

note "an address that is down is passed over for the next one of the name"
# a hosts file of its own for the agent alone
printf '127.0.0.9 localhost\n::1 localhost\n' >hosts
agent_config agent2 network.connect_timeout=3s
# shellcheck disable=SC2016
start agent2 agent2/agent.log unshare -m bash -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$tmp/hosts" \
	"$bin/mobilityd" --config "$tmp/agent2/mobility.conf"
until_true 20 "agent2" agent_ready agent2
enroll agent2 localhost
python3 "$flow/image.py" make b 4M random "$seed"
ctl agent2 protect b >protect.out
wait_protected agent2
stop agent2

note "a proxy with a password; what no_proxy names goes past it"
cat >proxy.py <<'PYTHON'
import base64, http.server, select, socket, sys
class Proxy(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        given = self.headers.get("Proxy-Authorization", "")
        if given != "Basic " + base64.b64encode(b"someone:pass-word-7").decode():
            self.send_response(407); self.end_headers(); return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port))) as up:
            self.send_response(200); self.end_headers()
            print("tunnel", self.path, flush=True)
            pair = {self.connection: up, up: self.connection}
            while True:
                for s in select.select(list(pair), [], [])[0]:
                    data = s.recv(65536)
                    if not data:
                        return
                    pair[s].sendall(data)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy)
print("ready", flush=True)
server.serve_forever()
PYTHON
proxy_port=
new_port proxy_port
start proxy proxy.log python3 proxy.py "$proxy_port"
until_true 60 "the proxy" grep -q ready proxy.log
agent_config agent3 "network.proxy=http://someone:pass-word-7@127.0.0.1:$proxy_port" network.no_proxy=127.0.0.1,.example
start_agent agent3
enroll agent3 127.0.0.2
python3 "$flow/image.py" make c 2M random "$seed"
ctl agent3 protect c >protect.out
wait_protected agent3
grep -q "tunnel 127.0.0.2:$data" proxy.log || fail "the proxy was not used"
status_json agent3 >agent3/status.json
ctl agent3 explain --json >agent3/explain.json
tr '\0' ' ' <"/proc/${pid_of[agent3]}/cmdline" >agent3/cmdline
! grep -q 'pass-word-7' agent3/agent.log agent3/*.json agent3/cmdline agent3/*.out || fail "the password is shown"
stop agent3
used=$(grep -c tunnel proxy.log)
agent_config agent3 "network.proxy=http://someone:pass-word-7@127.0.0.1:$proxy_port" network.no_proxy=127.0.0.0/8,.example
start_agent agent3
wait_for agent3 20 .appliance.connected
bookmark agent3 direct
[ "$(grep -c tunnel proxy.log)" -eq "$used" ] || fail "the proxy was used all the same"
stop agent3
agent_config agent3 "network.proxy=http://someone:wrong-word-8@127.0.0.1:$proxy_port"
start_agent agent3
wait_for agent3 20 '.appliance.error | contains("407")'
! grep -q 'word-8' agent3/agent.log || fail "the password is in the log"
agent_config agent4 "network.proxy=socks5://someone:pass-word-9@127.0.0.1:1"
if "$bin/mobilityd" --config agent4/mobility.conf >agent4/agent.log 2>&1; then fail "socks5 was taken"; fi
! grep -q 'pass-word-9' agent4/agent.log || fail "the password is in the error"
agent_config agent4 "network.bandwidth_limit=2M ; Mon 1M"
if "$bin/mobilityd" --config agent4/mobility.conf >agent4/agent.log 2>&1; then fail "half a timetable was taken"; fi
grep -q 'blank before' agent4/agent.log || fail "no reason: $(cat agent4/agent.log)"
finish
