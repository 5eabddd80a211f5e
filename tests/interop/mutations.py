#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does the decoder notice? Breaks a good capture in one place after another; each must be refused.

mutations.py CAPTURE: a line for each way to break it, with what the decoder said. Exit status 1 if any was accepted.
The temporary folder must be on the file system of the capture."""
import json
import os
import re
import shutil
import sys
import tempfile

from capture import Checker
from segment import EXTENT, HEADER, TRAILER, Broken, trailer

PUT, COMMIT, OPEN = r"PUT /v1/disks/.*", r"POST /v1/epochs/\d+/commit", "POST /v1/epochs"


class Copy:
    """A capture of which single files are replaced; the others are links to the original's."""

    def __init__(self, source, folder):
        self.folder = folder
        shutil.copytree(source, folder, copy_function=os.link)
        self.names = sorted(n for n in os.listdir(folder) if n.isdigit())

    def path(self, exchange, name):
        return os.path.join(self.folder, exchange, name)

    def read(self, exchange, name):
        with open(self.path(exchange, name), "rb") as f:
            return f.read()

    def write(self, exchange, name, data):
        os.unlink(self.path(exchange, name))
        with open(self.path(exchange, name), "wb") as f:
            f.write(data)

    def find(self, pattern, which=0):
        """The exchanges whose request line is that, and that succeeded; the which-th of them."""
        hits = [n for n in self.names
                if re.match(pattern + " HTTP", self.read(n, "request.head").decode().split("\r\n")[0]) and
                self.read(n, "answer.head").split()[1].startswith(b"2")]
        return hits[which]

    def change(self, exchange, name, new):
        """Replace a body, and its Content-Length."""
        self.write(exchange, name + ".body", new)
        head = re.sub(rb"(?i)(content-length: *)\d+", b"\\g<1>%d" % len(new), self.read(exchange, name + ".head"))
        self.write(exchange, name + ".head", head)

    def edit(self, exchange, name, function):
        v = json.loads(self.read(exchange, name + ".body"))
        function(v)
        self.change(exchange, name, json.dumps(v).encode())

    def substitute(self, exchange, name, old, new):
        was = self.read(exchange, name)
        now = was.replace(old, new, 1)
        assert was != now, "nothing to replace"
        self.write(exchange, name, now)


def sealed(body):
    return bytes(body[:-TRAILER]) + trailer(body)


def data_segment(c):
    """A segment that begins with data, and its body."""
    for i in range(99):
        n = c.find(PUT, i)
        body = bytearray(c.read(n, "request.body"))
        if EXTENT.unpack_from(body, HEADER.size)[4] == 0:
            return n, body
    raise AssertionError


def flip(at, seal):
    def mutate(c):
        n, body = data_segment(c)
        body[at] ^= 1
        c.change(n, "request", sealed(body) if seal else bytes(body))
    return mutate


def flip_payload(c):
    n, body = data_segment(c)
    body[HEADER.size + EXTENT.size * int.from_bytes(body[28:32], "little")] ^= 1
    c.change(n, "request", sealed(body))


def remove(pattern):
    return lambda c: shutil.rmtree(os.path.join(c.folder, c.find(pattern)))


def edit(pattern, side, function, which=0):
    return lambda c: c.edit(c.find(pattern, which), side, function)


def edit_point(function):
    def mutate(c):
        for i in range(99):
            n = c.find(COMMIT, i)
            if json.loads(c.read(n, "answer.body")).get("point"):
                c.edit(n, "answer", lambda v: function(v["point"]))
                return
    return mutate


def drop_point(c):
    for i in range(99):
        n = c.find(COMMIT, i)
        if json.loads(c.read(n, "answer.body")).get("point"):
            c.edit(n, "answer", set_to(point=None))
            return


def meta(pattern, **values):
    def mutate(c):
        n = c.find(pattern)
        v = json.loads(c.read(n, "meta.json"))
        v.update(values)
        c.write(n, "meta.json", json.dumps(v).encode())
    return mutate


def digest_answer(c):
    n = c.find(r"POST /v1/disks/.*/digests")
    body = bytearray(c.read(n, "answer.body"))
    body[5] ^= 1
    c.change(n, "answer", bytes(body))


def rename_path(c):
    c.substitute(c.find(PUT), "request.head", b"/segments/", b"/segments/1")


def set_to(**values):
    return lambda v: v.update(values)


def first_disk(**values):
    return lambda v: v["disks"][0].update(values)


WAYS = {
    "flipped magic": flip(0, True), "flipped header reserved": flip(60, True), "flipped epoch": flip(16, True),
    "flipped disk": flip(40, True), "flipped offset": flip(64, True), "flipped payload_off": flip(80, True),
    "flipped stored_len": flip(88, True), "flipped codec": flip(93, True), "flipped extent reserved": flip(95, True),
    "flipped digest": flip(96, True), "flipped trailer": flip(-1, False), "flipped table, old trailer": flip(100, False),
    "flipped payload": flip_payload, "segment not stored": remove(PUT), "epoch not opened": remove(OPEN),
    "commit not made": remove(COMMIT), "disk not registered": remove("POST /v1/disks"),
    "never enrolled": remove("POST /v1/enroll"), "another segment number": rename_path,
    "stored is wrong": edit(PUT, "answer", set_to(stored=1)),
    "unknown member": edit(COMMIT, "request", set_to(more=1)),
    "member missing": edit(COMMIT, "request", lambda v: v.pop("boundary")),
    "member of another type": edit(COMMIT, "request", set_to(boundary="1")),
    "real number": edit(COMMIT, "request", set_to(boundary=1.5)),
    "unknown consistency": edit(COMMIT, "request", set_to(consistency="good")),
    "another attempt": edit(COMMIT, "request", set_to(attempt="01234567-89ab-4def-8012-3456789abcde")),
    "attempt in upper case": edit(OPEN, "request", lambda v: v.update(attempt=v["attempt"].upper())),
    "replicated too large": edit(COMMIT, "request", first_disk(replicated=1 << 50)),
    "more segments than stored": edit(COMMIT, "request", first_disk(segments=9999)),
    "a disk left out": edit(COMMIT, "request", lambda v: v["disks"].pop()),
    "epoch number used before": edit(OPEN, "answer", set_to(epoch=1), 1),
    "commit of another epoch": edit(COMMIT, "answer", set_to(epoch=999999)),
    "point's time": edit_point(set_to(time=1)), "point's epoch": edit_point(set_to(epoch=999999)),
    "point's name": edit_point(set_to(name="another")), "point's disks": edit_point(lambda p: p["disks"].pop()),
    "point left out": drop_point,
    "digest of a block": digest_answer, "older TLS": meta(PUT, tls="TLSv1.2"),
    "wrong listener": meta(PUT, listener="control"), "no client certificate": meta(PUT, client=None),
    "another client": meta(PUT, client="01234567-89ab-4def-8012-3456789abcde"),
    "machine's epoch": edit("GET /v1/machine", "answer", set_to(epoch=999999)),
    "length of the body": lambda c: c.write(c.find(PUT), "request.body", b"short"),
    "unknown path": lambda c: c.substitute(c.find(OPEN), "request.head", b"/v1/epochs", b"/v2/epochs"),
}


def noticed(source, mutate):
    with tempfile.TemporaryDirectory() as folder:
        copy, images = Copy(source, os.path.join(folder, "capture")), os.path.join(folder, "images")
        os.mkdir(images)
        if mutate:
            mutate(copy)
        try:
            Checker(images).all(copy.folder)
        except Broken as e:
            return str(e)
    return None


def main():
    source, failed = sys.argv[1], 0
    why = noticed(source, None)
    if why:
        print("the capture is not good before it is broken: %s" % why)
        return 1
    for name, mutate in WAYS.items():
        why = noticed(source, mutate)
        print("%s: %s" % (name, why or "NOT NOTICED"))
        failed += not why
    print("%d ways to break a capture, %d not noticed" % (len(WAYS), failed))
    return 1 if failed else 0


sys.exit(main())
