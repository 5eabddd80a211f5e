#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A TLS server on 127.0.0.1 that behaves as test_http.c asks by the path of the request.

https_server.py CERT KEY CLIENT-CA [tls1.2]: prints the port and the port of an HTTP proxy in front of
it, and serves until its stdin ends. The proxy wants the user "user" with the password "secret"."""
import base64
import hashlib
import http.server
import socket
import ssl
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def answer(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self):
        left = int(self.headers["Content-Length"])
        body = self.rfile.read(left)
        said = [self.command, str(len(body)), hashlib.sha256(body).hexdigest()]
        said += [str(self.headers[h]) for h in ("Content-Type", "Expect", "Authorization")]
        self.answer(" ".join(said).encode())

    def begin(self, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(b"x" * 10)
        self.wfile.flush()

    def endless_headers(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(100000):
            self.wfile.write(b"X-%d: %s\r\n" % (i, b"y" * 1000))

    def trickle(self):
        self.begin(14)
        for _ in range(4):
            time.sleep(0.7)
            self.wfile.write(b"z")
            self.wfile.flush()

    def special(self, what, number):
        if what == "echo":
            self.echo()
        elif what == "long":
            self.answer(b"l" * number)
        elif what == "stall":
            self.begin(100)
            time.sleep(30)
        elif what == "deaf":
            time.sleep(30)
        elif what == "trickle":
            self.trickle()
        elif what == "truncate":
            self.begin(100)
            self.close_connection = True
        elif what == "drop":
            self.close_connection = True
        elif what == "endless-headers":
            self.close_connection = True
            self.endless_headers()
        else:
            self.answer(b"no such path", 404)

    def handle_one(self):
        what, _, number = self.path.strip("/").partition("/")
        if what == "hello":
            self.answer(b"hello")
        elif what == "empty":
            self.answer(b"")
        elif what == "status":
            self.answer(b"{}", int(number), [("Retry-After", "7")])
        elif what == "redirect":
            self.answer(b"gone", 302, [("Location", "/hello")])
        elif what == "connection":
            self.answer(str(self.client_address[1]).encode())
        elif what == "last":  # keeps promising the connection, and closes it
            self.answer(b"last")
            self.close_connection = True
        elif what == "client":
            subject = (self.connection.getpeercert() or {}).get("subject", ())
            self.answer(repr(dict(pair for part in subject for pair in part)).encode())
        else:
            self.special(what, int(number or 0))

    do_GET = do_PUT = do_POST = do_DELETE = handle_one


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context):
        super().__init__(("127.0.0.1", 0), Handler)
        self.context = context

    def finish_request(self, request, client_address):
        request.settimeout(60)
        super().finish_request(self.context.wrap_socket(request, server_side=True), client_address)

    def handle_error(self, request, client_address):
        pass  # clients that refuse us or go away are what is tested


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def proxy_one(client):
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    lines = head.decode().split("\r\n")
    wanted = "Proxy-Authorization: Basic " + base64.b64encode(b"user:secret").decode()
    if wanted not in lines:
        client.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
        client.close()
        return
    method, target, _ = lines[0].split(" ")
    assert method == "CONNECT"
    host, _, port = target.rpartition(":")
    server = socket.create_connection((host, int(port)))
    client.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
    threading.Thread(target=copy, args=(client, server), daemon=True).start()
    copy(server, client)


def proxy(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=proxy_one, args=(client,), daemon=True).start()


def main():
    cert, key, client_ca = sys.argv[1:4]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    if "tls1.2" in sys.argv[4:]:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = Server(context)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=proxy, args=(listener,), daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], listener.getsockname()[1], flush=True)
    sys.stdin.read()


main()
