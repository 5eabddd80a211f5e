#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes an appliance look old to its agents (tap.py's place, inside TLS): from before versions of segments, levels of digests and the epoch that another follows.

What it leaves out of an answer, and what it refuses of requests as such an appliance did, is counted in CAPTURE/counts.
"""
import json
import os
import struct
import threading

from tap import Handler, arguments, serve

LEFT_OUT = ("segment_versions", "codecs", "committed")


class Answer:
    """A refusal as http.client has answers."""
    reason = "refused"
    headers = {}

    def __init__(self, status):
        self.status = status

    def getheaders(self):
        return [("Content-Type", "application/json")]


class Counts:
    def __init__(self, folder):
        self.path = os.path.join(folder, "counts")
        self.lock = threading.Lock()
        self.counts = {}

    def add(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            with open(self.path + ".new", "w", encoding="ascii") as f:
                json.dump(self.counts, f)
            os.rename(f.name, self.path)


class OldHandler(Handler):
    def refuse(self, status, code):
        self.server.counts.add(code)
        return Answer(status), json.dumps({"error": code, "message": f"{self.path}: {code}"}).encode()

    def forward(self, body):
        if "/segments/" in self.path:
            version, = struct.unpack_from("<H", body, 8)
            if version != 1:
                return self.refuse(426, "version")
            self.server.counts.add("segments")
        if self.path.endswith("/digests"):
            if json.loads(body)["block"] != 65536:
                return self.refuse(400, "malformed")
            self.server.counts.add("digests")
        answer, content = super().forward(body)
        if answer.status in (200, 201) and (self.path == "/v1/machine" or self.path == "/v1/epochs"):
            members = json.loads(content)
            for member in LEFT_OUT:
                if members.pop(member, None) is not None:
                    self.server.counts.add(member)
            content = json.dumps(members).encode()
        return answer, content


if __name__ == "__main__":
    options = arguments(__doc__)
    serve(options, OldHandler, counts=Counts(options.capture))
