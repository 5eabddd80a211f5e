#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""impostor.py FOLDER ADDRESS PORT CA: an impostor at enrolment. Shows the true CA's certificate (the file CA), which anybody can get, with its
own behind it, and a certificate of its own CA as the server's. What it is asked goes to FOLDER/asked, bodies included."""
import http.server
import json
import os
import ssl
import subprocess
import sys

folder, address, port, true_ca = sys.argv[1:]
os.makedirs(folder)


def openssl(*args):
    subprocess.run(("openssl", *args), cwd=folder, check=True, capture_output=True)


openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
        "-days", "30", "-subj", "/CN=impostor")
openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "server.key", "-out", "server.csr",
        "-subj", f"/CN={address}")
with open(os.path.join(folder, "names"), "w", encoding="ascii") as f:
    f.write(f"subjectAltName=IP:{address}\n")
openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", "names", "-out", "server.pem")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with open(os.path.join(folder, "asked"), "ab") as asked:
            asked.write(f"{self.command} {self.path}\n".encode() + body + b"\n")
        both = "".join(open(name, encoding="ascii").read() for name in (true_ca, os.path.join(folder, "ca.pem")))
        text = json.dumps({"ca": both}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
