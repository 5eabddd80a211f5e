#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands between agent and appliance like tap.py, inside TLS, and flips bits in what passes.

CAPTURE/mode says what, and is read anew for each request:
  pass      nothing
  once      each segment when it is sent first, at one of the PLACES in turn
  header    the next segment in its header, then pass
  always    every segment, in the first byte of its payload
  digests   each answer to a query of digests, in one of its digests
  commit    the next answer to a commit, so that it is no JSON, then pass
CAPTURE/damage has a JSON line for each thing that was damaged: what, place, path, and for a segment what the appliance answered.
"""
import http.client
import json
import os
import struct
import threading

from tap import Handler, arguments, serve

HEADER, EXTENT, TRAILER = 64, 64, 32  # docs/protocol.md
PLACES = ("payload begin", "payload middle", "payload end", "extent offset", "extent digest", "trailer", "disk id")


def flip(body, at):
    damaged = bytearray(body)
    damaged[at] ^= 0x10
    return bytes(damaged)


def damage_segment(body, place):
    """None: this segment has no such place."""
    extents, = struct.unpack_from("<I", body, 28)
    payload_from = HEADER + EXTENT * extents
    payload_to = len(body) - TRAILER
    if place.startswith("payload") and payload_from == payload_to:
        return None
    return flip(body, {
        "magic": 0,
        "disk id": 40,
        "extent offset": HEADER + 3,
        "extent digest": payload_from - 1,
        "payload begin": payload_from,
        "payload middle": (payload_from + payload_to) // 2,
        "payload end": payload_to - 1,
        "trailer": len(body) - 1}[place])


class Damage:
    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.turn = 0
        self.seen = set()
        self.over()

    def mode(self):
        with open(os.path.join(self.folder, "mode"), encoding="ascii") as f:
            return f.read().strip()

    def over(self):
        with open(os.path.join(self.folder, "mode"), "w", encoding="ascii") as f:
            f.write("pass\n")

    def segment(self, path, body):
        """(body to pass on, place of the damage or None)"""
        with self.lock:
            mode = self.mode()
            if mode == "always":
                return damage_segment(body, "payload begin") or body, "payload begin"
            if mode == "header":
                self.over()
                return damage_segment(body, "magic"), "magic"
            if mode != "once" or path in self.seen:
                return body, None
            place = PLACES[self.turn % len(PLACES)]
            damaged = damage_segment(body, place)
            if not damaged:
                return body, None
            self.seen.add(path)
            self.turn += 1
            return damaged, place

    def answer(self, path, content):
        """(answer to pass on, place of the damage or None)"""
        with self.lock:
            mode = self.mode()
            if mode == "digests" and path.endswith("/digests") and content:
                self.turn += 1
                return flip(content, self.turn * 32 % len(content)), "digests"
            if mode == "commit" and path.endswith("/commit"):
                self.over()
                return flip(content, 0), "commit"
            return content, None

    def record(self, **what):
        with self.lock, open(os.path.join(self.folder, "damage"), "a", encoding="utf-8") as f:
            f.write(json.dumps(what) + "\n")


class DamageHandler(Handler):
    def pass_on(self, body):
        damage = self.server.damage
        if "/segments/" not in self.path:
            answer, content = self.forward(body)
            if answer.status != 200:
                return answer, content
            content, place = damage.answer(self.path, content)
            if place:
                damage.record(what="answer", place=place, path=self.path)
            return answer, content
        body, place = damage.segment(self.path, body)
        answer, content = self.forward(body)
        if place:
            damage.record(what="segment", place=place, path=self.path, status=answer.status,
                          answer=json.loads(content))
        return answer, content

    def exchange(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer, content = self.pass_on(body)
        except (OSError, http.client.HTTPException) as e:
            self.server.capture.error(f"{self.requestline}: {e!r}")
            self.close_connection = True
            return
        self.wfile.write(self.whole(answer, content))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = exchange


if __name__ == "__main__":
    options = arguments(__doc__)
    serve(options, DamageHandler, damage=Damage(options.capture))
