#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The fault proxy itself: without a fault it passes every byte, and each fault does what it is named for. Otherwise the tests
# that rely on it would prove nothing.
# timeout: 60
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

new_port control
new_port data
mkdir "$tmp/www"
python3 "$flow/image.py" make "$tmp/www/file" 3M random 1
start server "$tmp/server.log" python3 -m http.server --bind 127.0.0.2 --directory "$tmp/www" "$data"
until_true 10 "the server" curl -sf -o /dev/null "http://127.0.0.2:$data/"
start_proxy 127.0.0.1

# get SECONDS : curl's exit status, its timing in $took (ms), the bytes in $tmp/got
get() {
	local start status=0
	start=$(date +%s%3N)
	curl -s -m "$1" -o "$tmp/got" "http://127.0.0.1:$data/file" || status=$?
	took=$(($(date +%s%3N) - start))
	echo "$status" >"$tmp/curl.out"
}
ended() { [[ $(cat "$tmp/curl.out") =~ ^($1)$ ]] || fail "$2: curl ended with $(cat "$tmp/curl.out")"; }
almost_a_million() { # the headers count as well
	local size
	size=$(stat -c %s "$tmp/got")
	if [ "$size" -ge 1000000 ] || [ "$size" -lt 900000 ]; then
		fail "$1 after 1000000 bytes left $size"
	fi
}

get 10
ended 0 "no fault"
cmp "$tmp/www/file" "$tmp/got"
[ "$(proxy_stat bytes_down)" -gt $((3 << 20)) ] || fail "bytes are not counted"

proxy once drop down 1000000
get 10
ended '18|56' drop
almost_a_million drop

proxy once truncate down 1000000
get 10
ended 18 truncate
almost_a_million truncate

proxy once reset down 500000
get 10
ended 56 reset

proxy once stall down 100000 1500
get 10
ended 0 "stall of 1.5 s"
cmp "$tmp/www/file" "$tmp/got"
[ "$took" -ge 1500 ] || fail "the stall lasted only $took ms"

proxy once stall down 100000 0
get 2
ended 28 "stall for ever"

proxy once slow down 2000000 1000000
get 10
ended 0 slow
cmp "$tmp/www/file" "$tmp/got"
[ "$took" -ge 900 ] || fail "1.1 MB at 1 MB/s took only $took ms"

proxy once corrupt down 1500000
get 10
ended 0 corrupt
[ "$(cmp -l "$tmp/www/file" "$tmp/got" | wc -l)" -eq 1 ] || fail "corrupt did not change one byte"

proxy once halfopen
get 1
ended 28 halfopen

proxy off
until_true 5 "the listener to go" bash -c "! curl -s -o /dev/null -m 2 http://127.0.0.1:$data/"
get 5
ended 7 off
proxy on
until_true 5 "the listener to come back" curl -sf -o /dev/null "http://127.0.0.1:$data/"

proxy every slow down 0 200000
get 60 &
getter=$!
sleep 1
proxy close
wait "$getter"
ended '56|52' close

proxy every none
proxy random 100 4000000 # most of the data is downwards: at most 15 kB
for _ in $(seq 15); do get 5; done
proxy pass
total=$(proxy_stat 'drop + .truncate + .reset + .stall + .corrupt')
[ "$total" -ge 8 ] || fail "random faults: only $total struck"
get 10
ended 0 "after pass"
cmp "$tmp/www/file" "$tmp/got"

finished=yes
echo "every fault struck as it should"
