"""The process that a runtime starts as its worker: it has no will of its own, the kit pulls its strings over a socket.

Run as a script with the standard library alone, since it gets no environment: puppet.py HOST PORT NAME. It tells its
environment and each line of its standard input, and does what it is told: write, start a child that is a puppet, exit.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading


def main(host: str, port: str, name: str) -> None:
    """Serves until it is told to exit, or nobody holds the strings any more."""
    link = socket.create_connection((host, int(port)))
    tell(link, {"name": name, "environment": dict(os.environ)})
    threading.Thread(target=listen, args=(link,), daemon=True).start()
    with link.makefile("rb") as orders:
        for order in orders:
            match json.loads(order):
                case {"child": str(child)}:
                    command = [sys.executable, "-I", "-S", __file__, host, port, child]
                    subprocess.Popen(command, stdin=subprocess.DEVNULL)
                case {"write": str(text), "to": int(descriptor)}:
                    write(descriptor, text.encode("latin-1"))
                case {"exit": int(code)}:
                    os._exit(code)
                case _:
                    os._exit(2)
    os._exit(0)


def listen(link: socket.socket) -> None:
    """Tells the lines of standard input, and their end."""
    for line in sys.stdin.buffer:
        tell(link, {"line": line.decode("latin-1")})
    tell(link, {"end": True})


def tell(link: socket.socket, value: object) -> None:
    """Sends one line to the kit."""
    try:
        link.sendall(json.dumps(value).encode() + b"\n")
    except OSError:
        os._exit(0)


def write(descriptor: int, data: bytes) -> None:
    """Writes all of it."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        return  # the runtime reads no more; the end of standard input tells the kit


if __name__ == "__main__":
    main(*sys.argv[1:])
