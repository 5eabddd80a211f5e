# SPDX-License-Identifier: Apache-2.0
"""A client of the replication protocol, written from docs/protocol.md alone: enrolment, requests over TLS 1.3
with a client certificate, and segments that can be made wrong on purpose.
"""
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import uuid
import zlib

BLOCK = 65536


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Answer:
    def __init__(self, status, body, headers):
        self.status, self.body, self.headers = status, body, headers

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The error's code; every error must have one, and a sentence."""
        error = self.json
        assert isinstance(error["message"], str) and len(error["message"]) > 8, error
        return error["error"]

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Client:
    """Talks to the appliance as a machine, or as nobody (no certificate)."""

    def __init__(self, host, control, data, ca, certificate=None, key=None):
        self.host, self.ports, self.ca = host, {"control": control, "data": data}, ca
        self.certificate, self.key = certificate, key
        self.machine = None
        self.source = ""
        self.connections = {}

    def context(self, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        context.minimum_version = context.maximum_version = version
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def raw(self, port, timeout=20):
        """A TLS socket, for bytes that no HTTP library would send."""
        plain = socket.create_connection((self.host, self.ports[port]), timeout, (self.source, 0))
        try:
            return self.context().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def request(self, port, method, path, body=None, headers=None):
        """A dict is sent as JSON, bytes as they are. A kept connection that has gone is opened again once."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        for attempt in range(2):
            connection = self.connections.get(port)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPSConnection(self.host, self.ports[port], timeout=30,
                                                         context=self.context())
                self.connections[port] = connection
            try:
                connection.request(method, path, body=body, headers=headers)
                answer = connection.getresponse()
                return Answer(answer.status, answer.read(), answer.headers)
            except (OSError, http.client.HTTPException):
                connection.close()
                del self.connections[port]
                if fresh or attempt:
                    raise

    def control(self, method, path, body=None, **more):
        return self.request("control", method, path, body, **more)

    def data(self, method, path, body=None, **more):
        return self.request("data", method, path, body, **more)

    # --- what a well-behaved agent does ---------------------------------------------------------

    def expect(self, answer, status):
        assert answer.status == status, f"expected {status}, got {answer}"
        return answer.json

    def disk(self, key, size, name=None, granule=65536):
        return self.expect(self.control("POST", "/v1/disks", {
            "key": key, "name": name or key.split("/")[-1], "size": size, "granule": granule}), 200)

    def open(self, attempt=None):
        attempt = attempt or str(uuid.uuid4())
        answer = self.data("POST", "/v1/epochs", {"attempt": attempt})
        assert answer.status in (200, 201), answer
        return answer.json["epoch"], attempt

    def put(self, disk, epoch, number, body):
        return self.data("PUT", f"/v1/disks/{disk}/epochs/{epoch}/segments/{number}", body,
                         headers={"Content-Type": "application/octet-stream"})

    def commit(self, epoch, attempt, disks, /, **changes):
        """disks: (disk object, number of segments)"""
        return self.data("POST", f"/v1/epochs/{epoch}/commit", commit_body(attempt, disks, **changes))

    def whole_epoch(self, disks, contents):
        """One epoch with one segment for each disk; returns its number."""
        epoch, attempt = self.open()
        for disk, runs in zip(disks, contents):
            self.expect(self.put(disk["id"], epoch, 0, segment(disk["id"], epoch, 0, runs)), 200)
        self.expect(self.commit(epoch, attempt, [(d, 1) for d in disks]), 200)
        return epoch


def commit_body(attempt, disks, /, **changes):
    body = {"attempt": attempt, "boundary": 1_700_000_000_000_000_000, "consistency": "crash",
            "reason": "", "bookmark": None,
            "disks": [{"disk": d["id"], "segments": n, "state": "protected",
                       "replicated": d["size"], "source": "scan"} for d, n in disks]}
    body.update(changes)
    return body


def enroll(folder, host, control, data, token, name="tester"):
    """A new machine: its key, certificate and the CA are files in folder. token: as `token --json` prints it."""
    os.makedirs(folder, exist_ok=True)
    ca, key, cert = (os.path.join(folder, n) for n in ("ca.pem", "key.pem", "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, control, timeout=20, context=context)
    connection.request("GET", "/v1/ca")
    pem = json.loads(connection.getresponse().read())["ca"]
    connection.close()
    fingerprint = "sha256:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    assert fingerprint == token["fingerprint"], (fingerprint, token["fingerprint"])
    with open(ca, "w", encoding="ascii") as f:
        f.write(pem)
    csr = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", key, "-subj", "/CN=" + name).decode()
    nobody = Client(host, control, data, ca)
    answer = nobody.control("POST", "/v1/enroll", {
        "token": token["token"], "hostname": name, "csr": csr})
    assert answer.status == 201, answer
    with open(cert, "w", encoding="ascii") as f:
        f.write(answer.json["certificate"])
    client = Client(host, control, answer.json["data_port"], ca, cert, key)
    client.machine = answer.json["machine"]
    return client


def machine_from(folder, host, control, data):
    """A client for a machine that was enrolled into folder."""
    return Client(host, control, data, *(os.path.join(folder, n)
                                         for n in ("ca.pem", "cert.pem", "key.pem")))


# --- segments ------------------------------------------------------------------------------------

def extent(offset, length, payload_off, stored_len, kind=0, codec=0, reserved=0, digest=bytes(32)):
    return struct.pack("<QQQIBBH32s", offset, length, payload_off, stored_len, kind, codec, reserved,
                       digest)


def header(disk, epoch, number, extents, payload, magic=b"MOBSEG\r\n", version=1, size=64, flags=0,
           reserved=0):
    return struct.pack("<8sHHIQIIQ16sQ", magic, version, size, flags, epoch, number, extents, payload,
                       uuid.UUID(disk).bytes, reserved)


def seal(content):
    return content + hashlib.sha256(content).digest()


def segment(disk, epoch, number, runs, codec=0):
    """runs: (offset, bytes) for data, (offset, length) for zeros"""
    table, payload = b"", b""
    for offset, content in runs:
        if isinstance(content, int):
            table += extent(offset, content, len(payload), 0, kind=1)
            continue
        stored = zlib.compress(content, 1) if codec == 1 else content
        table += extent(offset, len(content), len(payload), len(stored), 0, codec,
                        digest=hashlib.sha256(content).digest())
        payload += stored
    return seal(header(disk, epoch, number, len(runs), len(payload)) + table + payload)
