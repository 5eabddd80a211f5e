#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Leaves out of the appliance's answers what a new epoch follows (tap.py's place, inside TLS): the agent cannot notice commits behind its back."""
import json

from tap import Handler, arguments, serve


class ForgetfulHandler(Handler):
    def forward(self, body):
        answer, content = super().forward(body)
        if self.path == "/v1/epochs" and answer.status in (200, 201):
            members = json.loads(content)
            del members["committed"]
            content = json.dumps(members).encode()
        return answer, content


if __name__ == "__main__":
    serve(arguments(__doc__), ForgetfulHandler)
