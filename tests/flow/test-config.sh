#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Configuration is strict on both sides: an unknown section or key, a key given twice or a bad value is an error that names file, line and what
# was expected, and nothing starts.
# timeout: 60
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
appliance_init
agent_config agent
cp agent/mobility.conf good.conf

# bad SECTION LINE EXPECTED-PATTERN : the line stands in the section instead of the key's own
bad() {
	local got=0 line
	grep -v "^${2%%=*}=" good.conf | sed "/^\[$1\]/a $2" >agent/mobility.conf
	line=$(grep -nFx "$2" agent/mobility.conf | cut -d: -f1)
	timeout 10 "$bin/mobilityd" --config "$tmp/agent/mobility.conf" >bad.out 2>&1 || got=$?
	case $got in
	0 | 124) fail "mobilityd took '$2' (exit $got)" ;;
	esac
	grep -q "mobility.conf:$line" bad.out || fail "'$2': file and line $line are not named: $(cat bad.out)"
	grep -Eqi "$3" bad.out || fail "'$2': what was expected is not told: $(cat bad.out)"
	note "$(grep -m 1 mobility.conf bad.out | sed "s,$tmp/,,")"
}
bad agent 'colour=blue' colour
bad agent 'this is not a setting' .
bad replication 'workers=0' '1'
bad replication 'workers=17' '16'
bad replication 'workers=many' 'number|1'
bad replication 'workers=2x' 'number|1'
bad replication 'compression=lzma' 'zstd'
bad replication 'source=magic' 'scan'
bad replication 'scan_interval=soon' 'duration|[0-9]+ ?(s|m)'
bad replication 'scan_interval=-1s' 'duration|[0-9]+ ?(s|m)'
bad replication 'workers=' 'number|1'
bad replication 'min_epoch_interval=99999999999999999999s' 'duration|[0-9]+ ?(s|m)'
bad replication 'verify_rate=1' '8K to 1T'
bad replication 'resync_window=Mon-' 'always, never, or times.*a day'
bad network 'bandwidth_limit=10M;Mon' 'timetable'
bad network 'proxy=socks5://h:1' 'http://'

note "unknown section, key given twice, unreadable file"
{ cat good.conf; echo '[colours]'; echo 'x=1'; } >agent/mobility.conf
timeout 10 "$bin/mobilityd" --config "$tmp/agent/mobility.conf" >bad.out 2>&1 && fail "an unknown section was taken"
grep -q 'colours' bad.out || fail "unknown section: $(cat bad.out)"
{ cat good.conf; echo 'connect_timeout=4s'; } >agent/mobility.conf
timeout 10 "$bin/mobilityd" --config "$tmp/agent/mobility.conf" >bad.out 2>&1 && fail "a key was taken twice"
grep -q 'connect_timeout' bad.out || fail "twice: $(cat bad.out)"
mkdir folder.conf
timeout 10 "$bin/mobilityd" --config "$tmp/folder.conf" >bad.out 2>&1 && fail "a folder was taken for a configuration"
grep -q 'folder.conf: Is a directory' bad.out || fail "unreadable: $(cat bad.out)"

note "a socket's path where something else is: that stays"
echo precious >precious
sed "s,^socket=.*,socket=$tmp/precious," good.conf >agent/mobility.conf
timeout 10 "$bin/mobilityd" --config "$tmp/agent/mobility.conf" >bad.out 2>&1 && fail "mobilityd listens in place of a file"
grep -q 'precious is there and is no socket' bad.out || fail "the file in place of the socket: $(cat bad.out)"
[ "$(cat precious)" = precious ] || fail "the file in place of the socket is gone"

note "a proxy that cannot be used is refused, and nobody shows its password"
for proxy in 'user:s3cr/et@proxy.example:3128' 'user:s3cr#et@proxy.example:3128' 'user:1?s3cret@proxy.example:3128' \
	'user:s3cret@proxy.example:port' "user:s3cret@$(printf 'a%.0s' {1..300}):1"; do
	sed "/^\[network\]/a proxy=http://$proxy" good.conf >agent/mobility.conf
	timeout 10 "$bin/mobilityd" --config "$tmp/agent/mobility.conf" >bad.out 2>&1 && fail "the proxy $proxy was taken"
	ctl agent status >>bad.out 2>&1 && fail "mobilityctl took the proxy $proxy"
	[ "$(grep -c mobility.conf: bad.out)" -eq 2 ] || fail "$proxy: no error of each: $(cat bad.out)"
	! grep -E 's3cr|et@' bad.out || fail "the password is shown"
done

note "mobilityctl reads the same file as strictly"
{ cat good.conf; echo 'colour=blue'; } >agent/mobility.conf
ctl agent status >bad.out 2>&1 && fail "mobilityctl took an unknown key"
grep -q 'mobility.conf:' bad.out || fail "mobilityctl: $(cat bad.out)"

note "the appliance's file as well"
cp "$appliance_dir/appliance.conf" good-appliance.conf
echo 'colour=blue' >>"$appliance_dir/appliance.conf"
line=$(wc -l <"$appliance_dir/appliance.conf")
timeout 10 "$bin/mobility-appliance" --dir "$appliance_dir" serve >bad.out 2>&1 && fail "the appliance took an unknown key"
grep -q "appliance.conf:$line" bad.out || fail "the appliance: $(cat bad.out)"
for setting in names=a..b/c 'names=h, -h' control=443 data=localhost:9443; do
	sed "s|^${setting%%=*} = .*|$setting|" good-appliance.conf >"$appliance_dir/appliance.conf"
	line=$(grep -nFx "$setting" "$appliance_dir/appliance.conf" | cut -d: -f1)
	timeout 10 "$bin/mobility-appliance" --dir "$appliance_dir" serve >bad.out 2>&1 && fail "the appliance took '$setting'"
	grep -q "appliance.conf:$line: .*expected" bad.out || fail "'$setting' of the appliance: $(cat bad.out)"
done
cp good-appliance.conf "$appliance_dir/appliance.conf"

note "comments, spaces and good values are taken, and both start"
{ echo '# a comment'; sed 's/=/ = /; s/^source = .*/source = kmod/' good.conf; echo '; another'; } >agent/mobility.conf
start_appliance
start_agent agent
enroll agent
status agent .machine.id >machine.out

note "a plain file is scanned, whatever is configured"
truncate -s 1M file
! ctl agent protect file --source kmod >protect.out 2>&1 || fail "the module tracks a file"
grep -q 'plain file' protect.out || fail "--source kmod with a file: $(cat protect.out)"
protect agent file
status agent '.disks[0].source == "scan"' >/dev/null || fail "the file: $(status agent .disks)"
finish
