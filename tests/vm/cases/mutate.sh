#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Can the cases fail? For each mutations/NN-*.patch, which takes the protection of case NN out of the
# module, the case runs with that module and has to fail, for the reason that the line "expect:
# REGEX" at the head of the patch names. NN-*.agent.patch is the same for the agent, NAME.*.patch that of ../test-NAME.sh.
# The tests build the module with MOBILITY_MUTATION, the patch.
#
# usage: mutate.sh [--apply] [PATTERN...]	--apply only looks whether every patch still applies
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here" || exit 1
failed=0
only_apply=""
if [ "${1-}" = --apply ]; then only_apply=1; shift; fi

applies() {		# PATCH
	patch -s --dry-run -f -d "$here/../../.." -p1 <"$1" >/dev/null
}

test_of() {		# NAME, of a patch
	case $1 in
	[0-9]*) ls "${1%%-*}"-*.sh ;;
	*) ls "../test-${1%%.*}.sh" ;;
	esac
}

# Prints the assignment with which the case takes the patch; the agent is built for it here.
assignment() {		# PATCH LOG
	local programs

	case $1 in
	*.agent.patch)
		programs=$(./build-agent.sh "$1" 2>"$2") || return 1
		echo "MOBILITY_BIN=$programs" ;;
	*)
		echo "MOBILITY_MUTATION=$PWD/$1" ;;
	esac
}

mutate() {		# PATCH
	local patch=$1 name case path expect changed log

	name=$(basename "$patch" .patch)
	expect=$(sed -n 's/^expect: //p' "$patch" | head -n 1)
	path=$(test_of "$name") || { echo "FAIL mutation-$name has no case"; return 1; }
	case=$(basename "$path" .sh)
	applies "$patch" || { echo "FAIL mutation-$name does not apply"; return 1; }
	[ -z "$only_apply" ] || { echo "PASS mutation-$name applies"; return 0; }
	log=$(mktemp)
	if ! changed=$(assignment "$patch" "$log"); then
		echo "FAIL mutation-$name does not build"
		tail -n 20 "$log"
		return 1
	fi
	if env "$changed" "./$path" >"$log" 2>&1; then
		echo "FAIL mutation-$name: the case passes without its protection"
	elif ! grep "^FAIL $case" "$log" | grep -qE -- "$expect"; then
		echo "FAIL mutation-$name: expected /$expect/, but: $(grep "^FAIL $case" "$log")"
	else
		echo "PASS mutation-$name: $(grep "^FAIL $case" "$log")"
		rm -f "$log"
		return 0
	fi
	tail -n 20 "$log"
	rm -f "$log"
	return 1
}

for pattern in "${@:-}"; do
	for patch in mutations/"$pattern"*.patch; do
		mutate "$patch" || failed=$((failed + 1))
	done
done
[ $failed -eq 0 ]
