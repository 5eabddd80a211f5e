#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the agent and the appliance with a patch, for tests of the tests, in a folder of its own; prints the
# folder of the programs (MOBILITY_BIN of a test).
#
# usage: build-agent.sh PATCH	a patch (-p1) of the tree
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
patch=$(realpath "$1")
out=$top/build/mutations/$(basename "$patch" .patch)

rm -rf "$out"
mkdir -p "$out/build"
# what is built already is taken over: only what the patch changes is compiled again
(cd "$top" && cp -a Makefile agent appliance include lib scripts vss-shim "$out/" &&
	for built in obj libmobility.a libagent.a libappliance.a libshim.a; do
		[ ! -e "build/$built" ] || cp -a "build/$built" "$out/build/"
	done)
patch -s -d "$out" -p1 <"$patch" >&2
make -C "$out" all >&2
echo "$out/build/bin"
