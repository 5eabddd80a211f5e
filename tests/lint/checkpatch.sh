#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of checkpatch.pl: $CHECKPATCH, a kernel tree that is in the cache, or taken once from Debian's linux-source package (139 MB are
# downloaded, three files of it kept) into the cache. Exit status 1 when it cannot be had.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cache=${MOBILITY_CACHE:-$top/.cache}

if [ -n "${CHECKPATCH:-}" ]; then
	echo "$CHECKPATCH"
	exit
fi
mkdir -p "$cache"
exec 9>"$cache/checkpatch.lock"
flock 9
kept=$cache/checkpatch
if [ ! -x "$kept/checkpatch.pl" ]; then
	work=$(mktemp -d "$cache/checkpatch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	chmod 755 "$work"
	package=$(apt-cache depends linux-source 2>/dev/null | sed -n 's/.*Depends: \(linux-source-[0-9.]*\)$/\1/p' | head -n 1)
	[ -n "$package" ] || {
		echo "no linux-source package is known to apt; set CHECKPATCH to a checkpatch.pl" >&2
		exit 1
	}
	(cd "$work" && apt-get -o APT::Sandbox::User=root download -q "$package" >/dev/null 2>&1) || {
		echo "$package cannot be downloaded; set CHECKPATCH to a checkpatch.pl" >&2
		exit 1
	}
	mkdir -p "$work/out"
	archive=$work/source.tar.xz
	dpkg-deb --fsys-tarfile "$work"/linux-source-*.deb | tar -xOf - --wildcards './usr/src/linux-source-*.tar.xz' >"$archive"
	tar -xJf "$archive" -C "$work/out" --strip-components=2 --wildcards \
		'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' '*/scripts/const_structs.checkpatch'
	rm -rf "$kept"
	mv "$work/out" "$kept"
fi
echo "$kept/checkpatch.pl"
