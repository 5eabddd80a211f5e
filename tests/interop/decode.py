#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An independent reader of the replication protocol, written from docs/protocol.md alone.

decode.py check SEGMENT…               check segments, and tell what is in them
decode.py apply --image IMAGE SEGMENT… check segments and write them to an image, in the order given
decode.py api-check --capture DIR [--images OUT]
                                       check recorded exchanges; write the disks as of the last committed epoch
                                       to OUT/MACHINE-ID/DISK-NAME.raw
decode.py DIR OUT                      the same as api-check --capture DIR --images OUT

Exit status 1 and a line on stderr when something breaks the document."""
import argparse
import os
import sys
import tempfile

from capture import Checker
from segment import Broken, apply, decode


def read_segment(path):
    with open(path, "rb") as f:
        body = f.read()
    try:
        return decode(body)
    except Broken as e:
        raise Broken("%s: %s: %s" % (path, e.code, e), e.code) from e


def cmd_check(args):
    for path in args.segments:
        s = read_segment(path)
        data = sum(x.length for x in s.extents if x.data is not None)
        zeros = sum(x.length for x in s.extents if x.data is None)
        print("%s: disk %s, epoch %d, segment %d: %d extents, %d bytes of data, %d of zeros, in %d bytes" %
              (path, s.disk, s.epoch, s.number, len(s.extents), data, zeros, s.size))


def cmd_apply(args):
    with open(args.image, "r+b") as image:
        for path in args.segments:
            apply(read_segment(path), image)


def cmd_api_check(args):
    if args.images:
        os.makedirs(args.images, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.images) as folder:
        checker = Checker(folder)
        count = checker.all(args.capture)
        if args.images:
            checker.place_images(args.images)
    kinds = ", ".join("%d %s" % (n, name) for name, n in sorted(checker.counts.items()))
    print("%d exchanges (%s); %d segments of %d bytes" % (count, kinds, checker.segments, checker.bytes))


def parse_arguments(argv):
    if len(argv) == 2 and argv[0] not in ("check", "apply", "api-check"):
        argv = ["api-check", "--capture", argv[0], "--images", argv[1]]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    check = commands.add_parser("check")
    check.add_argument("segments", nargs="+")
    check.set_defaults(run=cmd_check)
    to_image = commands.add_parser("apply")
    to_image.add_argument("--image", required=True)
    to_image.add_argument("segments", nargs="+")
    to_image.set_defaults(run=cmd_apply)
    api = commands.add_parser("api-check")
    api.add_argument("--capture", required=True)
    api.add_argument("--images")
    api.set_defaults(run=cmd_api_check)
    return parser.parse_args(argv)


def main():
    args = parse_arguments(sys.argv[1:])
    try:
        args.run(args)
    except (Broken, OSError) as e:
        print("decode.py: %s" % e, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
