#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the rows of a benchmark as a table and writes build/bench/NAME.json.

usage: table.py NAME <ROWS

A row is a line of tab-separated WORK, UNIT, OURS, PEER, BAR; PEER is "-" where there is none. BAR
("<= 1.0", ">= 2") is held against ours/peer, or against ours where there is no peer. The status is 1
if a bar is missed.
"""
import json
import operator
import pathlib
import sys

COMPARE = {"<=": operator.le, ">=": operator.ge}


def read_row(line):
    work, unit, ours, peer, bar = line.rstrip("\n").split("\t")
    ours = float(ours)
    peer = None if peer == "-" else float(peer)
    ratio = None if peer is None else round(ours / peer, 4)
    return {"work": work, "unit": unit, "ours": ours, "peer": peer, "ratio": ratio, "bar": bar}


def holds(row):
    sign, limit = row["bar"].split()
    value = row["ours"] if row["ratio"] is None else row["ratio"]
    return COMPARE[sign](value, float(limit))


def show(value):
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def main():
    rows = [read_row(line) for line in sys.stdin if line.strip()]
    if not rows:
        sys.exit("table.py: no rows")
    width = max(len(row["work"]) for row in rows)
    print(f"{'work':<{width}}  {'unit':<12} {'ours':>10} {'peer':>10} {'ratio':>7}  bar")
    for row in rows:
        ok = "" if holds(row) else "   MISSED"
        print(f"{row['work']:<{width}}  {row['unit']:<12} {show(row['ours']):>10} "
              f"{show(row['peer']):>10} {show(row['ratio']):>7}  {row['bar']}{ok}")
    top = pathlib.Path(__file__).resolve().parents[2]
    out = top / "build" / "bench" / f"{sys.argv[1]}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"written to {out.relative_to(top)}")
    return 0 if all(holds(row) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
