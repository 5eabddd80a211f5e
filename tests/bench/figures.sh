# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What benchmarks make of their figures. Sourced.
#   row WORK UNIT OURS PEER BAR   a line for table.py
#   calc EXPRESSION               to four decimals
#   quantile P                    of the numbers on standard input, a line each; 0.5 is the median, 1 the largest

row() { printf '%s\t%s\t%s\t%s\t%s\n' "$@"; }

calc() { awk "BEGIN { printf \"%.4f\", $1 }"; }

quantile() {
	sort -g | awk -v p="$1" '{ v[NR] = $1 } END { i = int(NR * p + 0.999999); print v[i < 1 ? 1 : i] }'
}
