#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""enroll.py FOLDER HOST CONTROL DATA NAME: enrols a machine through the protocol, with the JSON of `mobility-appliance token --json`
on stdin; its key and certificates go into FOLDER. Prints the machine's id.
"""
import json
import sys

import api

folder, host, control, data, name = sys.argv[1:]
print(api.enroll(folder, host, int(control), int(data), json.load(sys.stdin), name).machine)
