#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Disk images for tests.

image.py make FILE SIZE KIND SEED     KIND: zero, sparse, random, text, mixed
image.py edit FILE SEED COUNT         COUNT random writes
image.py run FILE SEED HISTORY        edits until SIGTERM, in bursts with quiet times between them; HISTORY gets the
                                      SHA-256 of every state that the file ever had, one a line, before the write
                                      that makes it: a right recovery point is one of them
image.py flip FILE OFFSET             flips one bit
image.py copy-first-segment JOURNAL   writes the first segment of the journal to stdout, with one bit of its payload flipped
"""
import hashlib
import os
import random
import signal
import struct
import sys
import time

MIB = 1 << 20


def size_of(text):
    units = {"K": 1 << 10, "M": MIB}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def words(rng, length):
    some = b" ".join(b"%08x" % rng.getrandbits(32) for _ in range(16))
    return (some * (length // len(some) + 1))[:length]


def make(path, size, kind, rng):
    with open(path, "wb") as f:
        f.truncate(size)
        if kind == "zero":
            for at in range(0, size, MIB):
                f.write(bytes(min(MIB, size - at)))
        elif kind == "random":
            for at in range(0, size, MIB):
                f.write(rng.randbytes(min(MIB, size - at)))
        elif kind == "text":
            for at in range(0, size, MIB):
                f.write(words(rng, min(MIB, size - at)))
        elif kind == "sparse":
            for at in [0, size - 512] + [rng.randrange(size // 512) * 512 for _ in range(size // MIB)]:
                f.seek(at)
                f.write(rng.randbytes(min(512 * rng.randrange(1, 64), size - at)))
        elif kind == "mixed":
            for at in range(0, size, 256 << 10):
                length = min(256 << 10, size - at)
                content = rng.choice([rng.randbytes, lambda n: words(rng, n), bytes, None])
                if content:
                    f.seek(at)
                    f.write(content(length))
        else:
            sys.exit(f"image.py: unknown kind {kind}")


def next_write(rng, size):
    """Some offset and content; never the same content twice, so that no state comes back."""
    length = rng.choice([1, 17, 512, 4096, 4096, 4096, 65536, 65536, 200000])
    length = min(length, size)
    at = rng.randrange(size - length + 1)
    if rng.random() < 0.7:
        at -= at % 512
    kind = rng.random()
    if kind < 0.5 or length < 32:
        return at, rng.randbytes(length)
    if kind < 0.8:
        return at, words(rng, length)
    return at, b"%032x" % rng.getrandbits(128) + bytes(length - 32)


def edit(path, rng, count):
    with open(path, "r+b", buffering=0) as f:
        size = os.fstat(f.fileno()).st_size
        for _ in range(count):
            os.pwrite(f.fileno(), *reversed(next_write(rng, size)))


def run(path, rng, history):
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    with open(path, "r+b", buffering=0) as f, open(history, "a", encoding="ascii") as log:
        state = bytearray(f.read())

        def record():
            log.write(hashlib.sha256(state).hexdigest() + "\n")
            log.flush()

        record()
        while not stopping:
            for _ in range(rng.randrange(1, 12)):
                at, content = next_write(rng, len(state))
                state[at:at + len(content)] = content
                record()
                os.pwrite(f.fileno(), content, at)
                time.sleep(rng.random() * 0.02)
            quiet = time.monotonic() + rng.random() * 1.5
            while time.monotonic() < quiet and not stopping:
                time.sleep(0.05)
        os.fsync(f.fileno())


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1]))
        f.flush()
        os.fsync(f.fileno())


def copy_first_segment(path):
    with open(path, "rb") as f:
        head = f.read(64)
        extents, payload = struct.unpack_from("<IQ", head, 28)
        whole = bytearray(head + f.read(64 * extents + payload + 32))
    whole[64 + 64 * extents + payload // 2] ^= 1
    sys.stdout.buffer.write(whole)


def main():
    command, path, *args = sys.argv[1:]
    if command == "make":
        make(path, size_of(args[0]), args[1], random.Random(int(args[2])))
    elif command == "edit":
        edit(path, random.Random(int(args[0])), int(args[1]))
    elif command == "run":
        run(path, random.Random(int(args[0])), args[1])
    elif command == "flip":
        flip(path, int(args[0]))
    elif command == "copy-first-segment":
        copy_first_segment(path)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
