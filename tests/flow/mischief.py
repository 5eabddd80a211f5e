#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands between agent and appliance like tap.py, inside TLS, and makes trouble with whole requests.

Each request that changes something is passed on, or meets one of these in turn:
  head, begin, middle   the connection is reset after the request's head, its body's first byte, half of its body
  unanswered            it is passed on, and the connection reset before a byte of the answer
  half                  likewise, in the middle of the answer
  twice                 it is passed on twice, and the second answer given
  overtaken             it is held until another request has gone past it, or for half a second
  late                  it is passed on, and once more by itself some requests later, whatever comes of that
The counts go to CAPTURE/counts as JSON after each.
"""
import http.client
import json
import os
import socket
import struct
import threading

from tap import Handler, arguments, serve

KINDS = ("head", "pass", "begin", "twice", "middle", "overtaken", "unanswered", "pass", "half", "late", "pass")
LATE_AFTER = 4  # requests


class Mischief:
    def __init__(self, folder):
        self.folder = folder
        self.condition = threading.Condition()
        self.next = self.passed = 0
        self.counts = {kind: 0 for kind in KINDS}
        self.late = []
        self.refused = {}

    def choose(self, is_segment):
        """What becomes of a request. The commit and what else is no segment is not worth all of them."""
        with self.condition:
            kind = KINDS[self.next % len(KINDS)]
            if not is_segment and kind in ("begin", "middle", "overtaken"):
                kind = "pass"
            self.next += 1
            self.counts[kind] += 1
            with open(os.path.join(self.folder, "counts.new"), "w", encoding="utf-8") as f:
                json.dump(self.counts | {"late answers": self.refused}, f)
            os.rename(f.name, os.path.join(self.folder, "counts"))
            return kind

    def went(self):
        with self.condition:
            self.passed += 1
            self.condition.notify_all()
            due = [m for m in self.late if m[0] <= self.passed]
            self.late = [m for m in self.late if m[0] > self.passed]
        for _, again in due:
            threading.Thread(target=again, daemon=True).start()

    def wait_to_be_overtaken(self):
        with self.condition:
            seen = self.passed
            self.condition.wait_for(lambda: self.passed != seen, 0.5)

    def later(self, again):
        with self.condition:
            self.late.append((self.passed + LATE_AFTER, again))

    def answered_late(self, status):
        with self.condition:
            self.refused[str(status)] = self.refused.get(str(status), 0) + 1


class Reset(Exception):
    pass


class MischiefHandler(Handler):
    def reset(self):
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.request.unwrap = lambda: None  # no orderly end of TLS
        os.close(self.request.detach())
        raise Reset

    def again(self, body):
        """A repetition that nobody waits for, on a connection of its own."""
        upstream = http.client.HTTPSConnection(
            *self.server.to, timeout=60, context=self.server.authority.client_context(self.client))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "expect")}
        method, path = self.command, self.path

        def send():
            try:
                upstream.request(method, path, body=body, headers=headers)
                self.server.mischief.answered_late(upstream.getresponse().status)
            except (OSError, http.client.HTTPException) as e:
                self.server.mischief.answered_late(type(e).__name__)
            finally:
                upstream.close()
        return send

    def give(self, answer, content, part):
        whole = self.whole(answer, content)
        self.wfile.write(whole[:len(whole) // 2] if part else whole)
        self.wfile.flush()

    def trouble(self, kind, length):
        mischief = self.server.mischief
        if kind == "head":
            self.reset()
        if kind in ("begin", "middle"):
            self.rfile.read(1 if kind == "begin" else length // 2)
            self.reset()
        body = self.rfile.read(length)
        if kind == "overtaken":
            mischief.wait_to_be_overtaken()
        answer, content = self.forward(body)
        if kind == "twice":
            answer, content = self.forward(body)
        if kind == "late":
            mischief.later(self.again(body))
        mischief.went()
        if kind == "unanswered":
            self.reset()
        self.give(answer, content, kind == "half")
        if kind == "half":
            self.reset()

    def exchange(self):
        length = int(self.headers.get("Content-Length") or 0)
        changes = self.server.listener == "data" and self.command in ("PUT", "POST") and "digests" not in self.path
        try:
            kind = self.server.mischief.choose("/segments/" in self.path) if changes else "pass"
            self.trouble(kind, length)
        except Reset:
            pass
        except (OSError, http.client.HTTPException) as e:
            self.server.capture.error(f"{self.requestline}: {e!r}")
            self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass  # after a reset there is nothing to end

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = exchange


if __name__ == "__main__":
    options = arguments(__doc__)
    serve(options, MischiefHandler, mischief=Mischief(options.capture))
