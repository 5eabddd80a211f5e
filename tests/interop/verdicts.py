#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two readers of one document, on the same segments, good and broken: do they agree on each?

verdicts.py PROGRAM FOLDER…: PROGRAM is verdict.c, built; the folders hold segments, such as a fuzzer's corpus.
A PASS or FAIL line, and the segments on which they differ."""
import os
import subprocess
import sys

from segment import Broken, decode


def accepted(path):
    with open(path, "rb") as f:
        body = f.read()
    try:
        decode(body)
    except Broken:
        return False
    return True


def main():
    program, folders = sys.argv[1], sys.argv[2:]
    files = sorted(os.path.join(folder, name) for folder in folders for name in os.listdir(folder))
    lines = subprocess.run([program] + files, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    theirs = {path: verdict == "1" for verdict, _, path in (line.partition(" ") for line in lines)}
    differ = [path for path in files if theirs[path] != accepted(path)]
    good = sum(theirs.values())
    for path in differ:
        print("the library %s %s, the decoder does not agree" % ("takes" if theirs[path] else "refuses", path))
    fine = files and not differ and 0 < good < len(files)
    print("%s interop-verdicts: %d segments, %d of them good: %d differences" %
          ("PASS" if fine else "FAIL", len(files), good, len(differ)))
    return 0 if fine else 1


sys.exit(main())
