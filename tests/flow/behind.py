#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Speaks to the appliance with the certificate of an agent, behind its back.

behind.py STATE_DIR HOST CONTROL DATA reads        bytes of content that the appliance read for digests
behind.py STATE_DIR HOST CONTROL DATA write AT     an epoch that has another block of 64 KiB at AT of the first disk
behind.py STATE_DIR HOST CONTROL DATA delete       the first disk is no longer protected
"""
import os
import sys

import api

folder, host, control, data, what = sys.argv[1:6]
m = api.Client(host, int(control), int(data), *(os.path.join(folder, n) for n in ("ca.pem", "cert.pem", "key.pem")))
disk = m.data("GET", "/v1/machine").json["disks"][0]
if what == "reads":
    print(m.data("GET", f"/v1/disks/{disk['id']}").json["digest_reads"])
elif what == "write":
    m.whole_epoch([disk], [[(int(sys.argv[6]), os.urandom(65536))]])
elif what == "delete":
    m.expect(m.control("DELETE", f"/v1/disks/{disk['id']}"), 200)
else:
    sys.exit(__doc__)
