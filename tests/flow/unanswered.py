#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Passes the first tries of the first segment on, and breaks the connection instead of answering (tap.py's place, inside TLS): the appliance
has what the agent takes for lost. The file `tries` in the capture folder counts them."""
import os

from mischief import Mischief, MischiefHandler
from tap import arguments, serve

TRIES = 6


class Unanswered(Mischief):
    tries = 0

    def choose(self, is_segment):
        return "pass"

    def choose_first(self):
        with self.condition:
            if self.tries == TRIES:
                return "pass"
            self.tries += 1
            with open(os.path.join(self.folder, "tries"), "w", encoding="ascii") as f:
                f.write(f"{self.tries}\n")
            return "unanswered"


class UnansweredHandler(MischiefHandler):
    def trouble(self, kind, length):
        if self.path.endswith("/epochs/1/segments/0"):
            kind = self.server.mischief.choose_first()
        super().trouble(kind, length)


if __name__ == "__main__":
    options = arguments(__doc__)
    serve(options, UnansweredHandler, mischief=Unanswered(options.capture))
