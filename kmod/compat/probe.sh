#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: probe.sh COMPILER-COMMAND PROBE.c...
# Prints features.h: MOB_HAVE_<NAME> for each probe that compiles.
set -eu

compiler=$1
shift

# A compiler that this kernel cannot be built with would make every probe fail.
# shellcheck disable=SC2086 # The command is a list of words by contract.
if ! echo 'extern int probe;' | $compiler -DMODULE -fsyntax-only -x c -; then
	echo "probe.sh: the compiler does not accept this kernel's options; set CC" >&2
	exit 1
fi

echo "/* Generated from the probes in kmod/compat; do not edit. */"
for probe; do
	name=$(basename "$probe" .c | tr '[:lower:]' '[:upper:]')
	# The command is a list of words by contract.
	# shellcheck disable=SC2086
	if $compiler -DKBUILD_MODNAME=\"probe\" -DMODULE -fsyntax-only \
		-Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
		-Werror=int-conversion "$probe" 2>/dev/null; then
		echo "#define MOB_HAVE_$name 1"
	else
		echo "/* not MOB_HAVE_$name */"
	fi
done
