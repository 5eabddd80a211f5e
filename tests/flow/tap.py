#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records the traffic between agent and appliance.

The tap has the CA of the appliance under test (from the test's folder), and with it makes a server
certificate that the agent trusts, and for each agent certificate a client certificate of the same
subject. It ends TLS 1.3 on both sides and passes each exchange on unchanged. README.md has the format.
"""
import argparse
import http.client
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HOP_BY_HOP = {"connection", "keep-alive", "expect", "transfer-encoding"}


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True).stdout


class Authority:
    """The appliance's CA, found by what the files of its folder contain, not by their names."""

    def __init__(self, folder, work):
        self.work = work
        self.lock = threading.Lock()
        self.made = {}
        keys, roots = {}, {}
        for base, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(base, name)
                if os.path.getsize(path) > 65536:
                    continue
                with open(path, "rb") as f:
                    text = f.read()
                if b"PRIVATE KEY-----" in text:
                    keys[openssl("pkey", "-in", path, "-pubout")] = path
                if b"BEGIN CERTIFICATE-----" in text:
                    subject = openssl("x509", "-in", path, "-noout", "-subject").split(b"=", 1)[1]
                    issuer = openssl("x509", "-in", path, "-noout", "-issuer").split(b"=", 1)[1]
                    if subject == issuer:
                        roots[openssl("x509", "-in", path, "-noout", "-pubkey")] = path
        both = [public for public in roots if public in keys]
        if len(both) != 1:
            sys.exit(f"tap: {len(both)} certificate authorities with a key in {folder}, not one")
        self.cert, self.key = roots[both[0]], keys[both[0]]

    def issue(self, common_name, extensions):
        """Returns (certificate file, key file); the same for the same name."""
        with self.lock:
            if common_name in self.made:
                return self.made[common_name]
            base = os.path.join(self.work, f"issued-{len(self.made)}")
            with open(base + ".ext", "w", encoding="ascii") as f:
                f.write(extensions)
            request = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                              "-nodes", "-keyout", base + ".key", "-subj", "/CN=" + common_name)
            openssl("x509", "-req", "-CA", self.cert, "-CAkey", self.key, "-days", "2",
                    "-set_serial", str(time.time_ns()), "-sha256", "-extfile", base + ".ext",
                    "-out", base + ".crt", data=request)
            self.made[common_name] = (base + ".crt", base + ".key")
            return self.made[common_name]

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(*self.issue(
            "tap", "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n"))
        context.load_verify_locations(self.cert)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def client_context(self, common_name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self.cert)
        if common_name:
            context.load_cert_chain(*self.issue(common_name, "extendedKeyUsage=clientAuth\n"))
        return context


class Capture:
    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.count = 0

    def save(self, parts, meta):
        with self.lock:
            self.count += 1
            final = os.path.join(self.folder, f"{self.count:06d}")
            os.mkdir(final + ".part")
            parts["meta.json"] = (json.dumps(meta) + "\n").encode()
            for name, content in parts.items():
                with open(os.path.join(final + ".part", name), "wb") as f:
                    f.write(content)
            os.rename(final + ".part", final)

    def error(self, what):
        with self.lock, open(os.path.join(self.folder, "errors"), "a", encoding="utf-8") as f:
            f.write(what + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def setup(self):
        self.upstream = None
        self.client = None
        self.request.settimeout(self.timeout)
        self.request.do_handshake()
        certificate = self.request.getpeercert()
        if certificate:
            self.client = dict(pair[0] for pair in certificate["subject"])["commonName"]
        super().setup()

    def finish(self):
        super().finish()
        if self.upstream:
            self.upstream.close()

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass

    def forward(self, body):
        if not self.upstream:
            self.upstream = http.client.HTTPSConnection(
                *self.server.to, timeout=60,
                context=self.server.authority.client_context(self.client))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
        self.upstream.request(self.command, self.path, body=body if body else None, headers=headers)
        answer = self.upstream.getresponse()
        return answer, answer.read()

    def whole(self, answer, content):
        """The bytes of an answer with this content."""
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in answer.getheaders()
                        if k.lower() not in HOP_BY_HOP | {"content-length"})
        if answer.headers.get("Connection", "").lower() == "close":
            self.close_connection = True
            head += "Connection: close\r\n"
        return f"{head}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content

    def exchange(self):
        started = time.time_ns()
        if self.headers.get("Transfer-Encoding"):
            self.server.capture.error(f"{self.requestline}: the agent sent a body without length")
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answer, content = self.forward(body)
        except (OSError, http.client.HTTPException) as e:
            self.server.capture.error(f"{self.requestline}: {e!r}")
            self.close_connection = True
            return
        status = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        lines = "".join(f"{k}: {v}\r\n" for k, v in answer.getheaders())
        asked = "".join(f"{k}: {v}\r\n" for k, v in self.headers.items())
        self.server.capture.save(
            {"request.head": f"{self.requestline}\r\n{asked}\r\n".encode("latin-1"),
             "request.body": body,
             "answer.head": f"{status}{lines}\r\n".encode("latin-1"),
             "answer.body": content},
            {"listener": self.server.listener, "client": self.client,
             "tls": self.request.version(), "started": started, "ended": time.time_ns()})
        self.wfile.write(self.whole(answer, content))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = exchange


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, listener, address, to, authority, capture):
        super().__init__(address, Handler)
        self.listener, self.to = listener, to
        self.authority, self.capture = authority, capture
        self.context = authority.server_context()

    def get_request(self):
        sock, address = super().get_request()
        return self.context.wrap_socket(sock, server_side=True,
                                        do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, TimeoutError)):
            self.capture.error(f"from {client_address}: {error!r}")


def endpoint(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def serve(args, handler, **shared):
    """Listens for both ports, until it is killed; handlers find what is shared as members of their server."""
    with tempfile.TemporaryDirectory() as work:
        authority = Authority(args.appliance, work)
        capture = Capture(args.capture)
        for listener, (listen, to) in (("control", args.control), ("data", args.data)):
            server = Server(listener, listen, to, authority, capture)
            server.RequestHandlerClass = handler
            vars(server).update(shared)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        print("ready", flush=True)
        threading.Event().wait()


def arguments(doc):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--appliance", required=True, help="the appliance's folder, for its CA")
    parser.add_argument("--control", required=True, nargs=2, metavar=("LISTEN", "TO"), type=endpoint)
    parser.add_argument("--data", required=True, nargs=2, metavar=("LISTEN", "TO"), type=endpoint)
    parser.add_argument("--capture", required=True, help="folder for the captures and errors")
    args = parser.parse_args()
    os.makedirs(args.capture, exist_ok=True)
    return args


if __name__ == "__main__":
    serve(arguments(__doc__), Handler)
