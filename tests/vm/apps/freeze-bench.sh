#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, under load: snapshot sets without a requester's work, and copies made while locks are held.
# usage: freeze-bench.sh SETS COPIES. Prints "KIND MICROSECONDS" lines.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
# shellcheck source=tests/vm/apps/databases.sh
. /apps/databases.sh

# The members of a report, one a line; no parser of JSON is in the guest.
members() { tr '{' '\n'; }
number() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p"; }

snapshot_set() {
	local report line

	report=$(vss-shim run --json --anyway -- true 2>&1 >/dev/null) || true
	echo "window $(members <<<"$report" | number window_us | head -n 1)"
	echo "consistent $(grep -c '"consistent": *true' <<<"$report")"
	members <<<"$report" | while read -r line; do
		case $line in
		*'"mount"'*'"/srv/'*) echo "filesystem $(number held_us <<<"$line")" ;;
		*'"name"'*)
			name=${line#*'"name":'}
			name=${name#*'"'}
			name=${name%%'"'*}
			echo "freeze-$name $(number freeze_us <<<"$line")"
			echo "held-$name $(number held_us <<<"$line")"
			;;
		esac
	done
}

# What scripts do that know no snapshots: all locks are held until the files are copied.
naive_copy() {
	local began=${EPOCHREALTIME/./} ended

	coproc mariadb -uroot -BN --unbuffered
	echo "FLUSH TABLES WITH READ LOCK; SELECT 1;" >&"${COPROC[1]}"
	read -r _ <&"${COPROC[0]}"
	redis-cli CLIENT PAUSE 600000 WRITE >/dev/null
	sync
	find $db $space -xdev -type f -exec cat {} + >/dev/null
	redis-cli CLIENT UNPAUSE >/dev/null
	echo "UNLOCK TABLES;" >&"${COPROC[1]}"
	eval "exec ${COPROC[1]}>&-"
	ended=${EPOCHREALTIME/./}
	wait
	echo "naive $((ended - began))"
}

for ((i = 0; i < $1; i++)); do
	snapshot_set
	sleep 0.5
done
for ((i = 0; i < $2; i++)); do
	naive_copy
	sleep 1
done
