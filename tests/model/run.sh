#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [full]: checks boundary.pml exhaustively, with and without patience, and that each BUG_* switch makes it
# fail; a PASS or FAIL line each. Two epochs by default, three and a full pool with "full" (minutes). MODEL_JOBS (2) at a
# time, of up to 4 GB of memory each.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../build/model
mkdir -p "$out"

pan() { # NAME FLAGS… : builds and runs one search; its output goes to $out/NAME/log
	local dir=$out/$1
	shift
	mkdir -p "$dir"
	cp "$here/boundary.pml" "$dir/"
	(cd "$dir" && spin -a "$@" boundary.pml >spin.log && gcc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=12000 -o pan pan.c &&
		timeout 900 ./pan -m100000 -w26 >log 2>&1)
}

holds() { # NAME FLAGS…
	local log=$out/$1/log
	pan "$@"
	if grep -q 'errors: 0' "$log" && ! grep -q -e 'not completed' -e 'max search depth' "$log"; then
		echo "PASS model-$1 ($(awk '/states, stored/{print $1}' "$log") states)"
	else
		echo "FAIL model-$1"
		grep -E 'assertion|invalid end|errors:|memory|depth' "$log" | sed 's/^/    /'
	fi
}

finds() { # BUG
	local log=$out/bug-$1/log
	pan "bug-$1" "-DBUG_$1" -DEPOCHS=2
	grep -q 'errors: 1' "$log" || pan "bug-$1" "-DBUG_$1"
	if grep -q 'errors: 1' "$log"; then
		echo "PASS model-finds-$1"
	else
		echo "FAIL model-finds-$1: the search did not notice the mistake"
	fi
}

bugs() { grep -o "BUG_[A-Z_]*" "$here/boundary.pml" | grep -v "BUG_\$" | sort -u | sed "s,^BUG_,finds ,"; }

# the long ones first
searches() {
	if [ "${1:-}" = full ]; then
		echo "holds protocol-3-epochs -DEPOCHS=3"
		echo "holds impatient-3-epochs-2-places -DEPOCHS=3 -DIMPATIENT -DPLACES=2"
		echo "holds pool-full-3-epochs -DEPOCHS=3 -DPOOL_FULL"
		echo "holds impatient-2-epochs -DEPOCHS=2 -DIMPATIENT"
		echo "holds wide-3-epochs -DEPOCHS=3 -DWIDE"
		echo "holds impatient-pool-full-2-places -DEPOCHS=2 -DIMPATIENT -DPLACES=2 -DPOOL_FULL"
	else
		echo "holds protocol-2-epochs -DEPOCHS=2"
		echo "holds impatient-2-places -DEPOCHS=2 -DIMPATIENT -DPLACES=2"
		echo "holds wide-2-epochs -DEPOCHS=2 -DWIDE"
	fi
	bugs
}

case ${1:-} in
holds | finds) "$@" ;;
*)
	# the mistake that takes three epochs to find takes as long as any
	searches "${1:-}" | while read -r what name flags; do
		[ "$what" = holds ] && test=$name || test=finds-$name
		echo "2000 model-$test $here/run.sh $what $name $flags"
	done | "$here/../pool.sh" --told --first 'finds-PENDING_BEFORE_ITS_NAME$' model "${MODEL_JOBS:-2}" "$out/logs"
	;;
esac
