#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [CHECK…]: formatting, static analysis and the tree's conventions; a PASS, FAIL or SKIP line each. Only tracked files are looked at.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

tracked() { git ls-files -- "$@"; }
userspace() { tracked '*.c' '*.h' | grep -v -e '^kmod/' -e '^tests/unit/kmod/' -e '^include/mobility/uapi.h'; }
kernel() { tracked 'kmod/*.c' 'kmod/*.h' include/mobility/uapi.h; }
scripts() {
	tracked '*.sh'
	tracked | grep -v -e '\.sh$' | while read -r file; do
		if [ -f "$file" ] && head -n 1 "$file" | grep -Eq '^#!.*\b(bash|sh)$'; then
			echo "$file"
		fi
	done
}

# --- the checks: what they print is what is wrong ------------------------------------------------

lint_format() { userspace | xargs -r clang-format-14 --dry-run -Werror; }

lint_cppcheck() {
	# readdir: readdir_r is deprecated; accept4: its own description of the function is wrong
	userspace | grep '\.c$' | xargs -r cppcheck --quiet --std=c11 -I. -D_GNU_SOURCE --enable=warning,portability,performance \
		--inline-suppr --suppress=readdirCalled --suppress=invalidFunctionArgBool --suppress=nullPointer:tests/flow/proxy.c \
		--suppress=missingIncludeSystem --suppress=unknownMacro --library=posix,gnu \
		--error-exitcode=1 -j2
}

lint_shellcheck() { scripts | xargs -r -n 16 -P 2 shellcheck -x -P SCRIPTDIR -P .; }

lint_python() {
	local file
	tracked '*.py' | while read -r file; do
		case $file in
		tests/*) ;;
		*) echo "$file: Python is for tests/ only" ;;
		esac
		python3 - "$file" <<-'PYTHON' || exit 1
			import ast, sys
			tree = ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])
			here = __import__("pathlib").Path(sys.argv[1]).parent
			for node in ast.walk(tree):
			    names = [a.name for a in node.names] if isinstance(node, ast.Import) else \
			        [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
			    for name in names:
			        top = name.split(".")[0]
			        if top not in sys.stdlib_module_names and not (here / (top + ".py")).exists():
			            print(f"{sys.argv[1]}:{node.lineno}: {name} is not of the standard library")
		PYTHON
	done
}

spdx_expected() {
	case $1 in
	include/mobility/uapi.h) echo 'GPL-2.0 WITH Linux-syscall-note' ;;
	kmod/* | Kbuild | tests/unit/kmod/*) echo 'GPL-2.0' ;; # those tests are one program with the module's sources
	*) echo 'Apache-2.0' ;;
	esac
}

# Files whose format has no comments, or that a tool writes.
lint_spdx() {
	local file
	tracked | grep -E -e '\.(c|h|sh|py|pml|service|conf|mk|[1-9])$' -e '(^|/)(Makefile|Kbuild)$' -e '^\.ci/' |
		while read -r file; do
			head -n 3 "$file" | grep -qE "SPDX-License-Identifier: $(spdx_expected "$file")( \*/)?$" ||
				echo "$file: no line 'SPDX-License-Identifier: $(spdx_expected "$file")' at the top"
		done
	scripts | while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' || echo "$file: no SPDX line at the top"
	done
}

lint_version_if() {
	tracked 'kmod/*.c' 'kmod/*.h' | grep -v '^kmod/compat/' |
		xargs -r grep -nE 'LINUX_VERSION_CODE|KERNEL_VERSION|RHEL_RELEASE|^[[:space:]]*#[[:space:]]*(el)?if(n?def)?[[:space:]].*(HAVE_|COMPAT_)'
	return 0
}

lint_length() {
	local file
	tracked '*.c' '*.h' '*.py' '*.sh' | xargs -r wc -l | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines, over 600"}'
	kernel | while read -r file; do
		expand "$file" | awk -v f="$file" 'length($0) > 100 {print f ":" FNR ": " length($0) " columns"}'
	done
}

lint_uapi_use() {
	userspace | grep -v '^tests/' | xargs -r grep -l 'mobility/uapi\.h' | grep -v '^agent/source_kmod'
	tracked 'appliance/*.[ch]' | xargs -r grep -nE '#include "agent/'
	tracked 'agent/*.[ch]' 'lib/*.[ch]' | xargs -r grep -nE '#include "appliance/'
	tracked 'lib/*.[ch]' | xargs -r grep -nE '#include "agent/'
	return 0
}

lint_unfinished() {
	tracked | grep -v -e '^LICENSES/' -e '^tests/lint/run\.sh$' | xargs -r grep -nIwE 'TODO|FIXME|XXX|HACK'
	return 0
}

lint_man() {
	local page
	tracked 'docs/man/*.[1-9]' | while read -r page; do
		{ LC_ALL=C.UTF-8 MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >/dev/null; } 2>&1
		! command -v mandoc >/dev/null || mandoc -T lint -W warning "$page"
	done
}

lint_spelling() {
	tracked | grep -v -e '^LICENSES/' | xargs -r codespell --quiet-level=3 --ignore-words=tests/lint/words
}

lint_checkpatch() {
	# BIT_MACRO: uapi headers cannot use BIT()
	kernel | xargs -r -n 16 -P 2 "$checkpatch" --no-tree --no-summary --terse --show-types --strict --max-line-length=100 --file \
		--ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG,MACRO_ARG_REUSE,LINUX_VERSION_CODE,BIT_MACRO
}

# Against the headers of a packaged kernel; they are downloaded once.
lint_sparse() {
	KMOD_MAKE='C=2' tests/vm/build-kmod.sh 2>&1 >/dev/null | grep -E 'kmod/.*(warning|error):'
	[ "${PIPESTATUS[0]}" -eq 0 ] || echo "the module does not build"
	return 0
}

# --- running them --------------------------------------------------------------------------------

failed=0
report() { # NAME STATUS
	if [ "$2" -ne 0 ] || [ -s "$log/$1" ]; then
		echo "FAIL lint-$1: $(grep -c . "$log/$1") lines"
		head -n 40 "$log/$1" | sed 's/^/    /'
		failed=$((failed + 1))
	else
		echo "PASS lint-$1"
	fi
}

check() { # NAME NEEDED-PROGRAM
	if [ -n "$2" ] && ! command -v "$2" >/dev/null; then
		echo "SKIP lint-$1: $2 is not installed"
		return
	fi
	"lint_${1//-/_}" >"$log/$1" 2>&1
	report "$1" $?
}

check_checkpatch() {
	checkpatch=$(tests/lint/checkpatch.sh 2>"$log/fetch") || {
		echo "SKIP lint-checkpatch: $(tail -n 1 "$log/fetch")"
		return
	}
	check checkpatch perl
}

all=(format cppcheck shellcheck python spdx version-if length uapi-use unfinished man spelling checkpatch sparse)
[ $# -gt 0 ] || set -- "${all[@]}"
for name; do
	case $name in
	format) check format clang-format-14 ;;
	cppcheck | shellcheck | man | sparse) check "$name" "$name" ;;
	spelling) check spelling codespell ;;
	checkpatch) check_checkpatch ;;
	python | spdx | version-if | length | uapi-use | unfinished) check "$name" "" ;;
	*)
		echo "run.sh: unknown check '$name'; there are: ${all[*]}" >&2
		exit 2
		;;
	esac
done
[ "$failed" -eq 0 ]
