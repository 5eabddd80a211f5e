# SPDX-License-Identifier: Apache-2.0
"""false_server.py KIND WHERE TOLD USER [COMM]: what USER would run who wants a database's password. It is called like the server of
that KIND (mariadb, redis), or COMM, listens on WHERE (a path, or ADDRESS:PORT) and appends what it is told to the file TOLD."""
import os
import pwd
import socket
import sys
import threading

COMM = {"mariadb": "mariadbd", "redis": "redis-server"}
# Protocol 10, a version, a thread, 8 bytes of salt, all capabilities but TLS, 13 bytes more of salt, and how to log in.
GREETING = (b"\x0a10.11.0-MariaDB\0" + (1).to_bytes(4, "little") + b"12345678\0" + b"\xff\xf7" + b"\x21" + b"\x02\0"
            + b"\xff\x81" + b"\x15" + b"\0" * 10 + b"123456789012\0" + b"mysql_native_password\0")
SWITCH = b"\xfemysql_clear_password\0"


def packet(number, body):
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def hear(connection, told):
    data = connection.recv(65536)
    os.write(told, data)
    return data


def mariadb(connection, told):
    connection.sendall(packet(0, GREETING))
    hear(connection, told)
    connection.sendall(packet(2, SWITCH))
    hear(connection, told)


def redis(connection, told):
    while words := hear(connection, told).split(b"\r\n")[2::2]:
        connection.sendall(b"+" + words[1] + b"\r\n" if words[0] == b"ECHO" else b"-NOAUTH Authentication required.\r\n")


def serve(talk, connection, told):
    with connection:
        try:
            talk(connection, told)
        except OSError:
            pass


def main(kind, where, told, user, comm=None):
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(comm or COMM[kind])
    os.closerange(3, 1024)  # a session's pipes, whose end would not be seen
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    if where.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(where)
        os.chmod(where, 0o777)
    else:
        address, port = where.split(":")
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, int(port)))
    listener.listen()
    print("listening", flush=True)
    told = os.open(told, os.O_WRONLY | os.O_APPEND)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=({"mariadb": mariadb, "redis": redis}[kind], connection, told), daemon=True).start()


main(*sys.argv[1:])
