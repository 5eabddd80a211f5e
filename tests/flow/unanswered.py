#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Passes the first tries of the first segment on, and breaks the connection instead of answering (tap.py's place, inside TLS): the appliance
has what the agent takes for lost. The file `tries` in the capture folder counts them."""
import os
import threading

from mischief import MischiefHandler, Reset
from tap import arguments, serve

TRIES = 6


class Count:
    def __init__(self, folder):
        self.lock = threading.Lock()
        self.tries = 0
        self.path = os.path.join(folder, "tries")

    def unanswered(self):
        with self.lock:
            if self.tries == TRIES:
                return False
            self.tries += 1
            with open(self.path, "w", encoding="ascii") as f:
                f.write(f"{self.tries}\n")
            return True


class UnansweredHandler(MischiefHandler):
    def trouble(self, kind, length):
        answer, content = self.forward(self.rfile.read(length))
        if self.path.endswith("/epochs/1/segments/0") and self.server.count.unanswered():
            self.reset()
        self.give(answer, content, False)

    def exchange(self):
        try:
            self.trouble("pass", int(self.headers.get("Content-Length") or 0))
        except Reset:
            pass

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = exchange


if __name__ == "__main__":
    options = arguments(__doc__)
    serve(options, UnansweredHandler, count=Count(options.capture))
