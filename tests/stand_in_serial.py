"""The far end of the page's stand-in for Web Serial (page/web_serial.js): a server of the page that also has a wire.

On the wire hangs whatever speaks as a board does: the stand-in chip on a port of pyserial, or an emulator's console.
"""

import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import serial
from mgbuild import page_server
from mgbuild.device import ports

POLL_SECONDS = 0.01


class Gone(Exception):
    """The board is no longer on its wire."""


class Wire(Protocol):
    """What a board hangs on."""

    def open(self, baud: int) -> bool:
        """Whether it may be opened."""

    def read(self) -> bytes:
        """What has come within POLL_SECONDS; raises Gone."""

    def write(self, data: bytes) -> None: ...

    def signals(self, dtr: bool | None, rts: bool | None) -> None: ...

    def close(self) -> None: ...


class PortWire:
    """A port of pyserial; it stays open there while the page closes and opens it."""

    def __init__(self, url: str) -> None:
        self._line = serial.serial_for_url(url, timeout=POLL_SECONDS)
        self.busy = False

    def open(self, baud: int) -> bool:
        if not self.busy:
            try:
                self._line.baudrate = baud
            except (OSError, *ports.FAILURES):
                return False
        return not self.busy

    def read(self) -> bytes:
        try:
            return self._line.read(max(1, self._line.in_waiting))
        except (OSError, *ports.FAILURES):
            raise Gone from None

    def write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except (OSError, *ports.FAILURES):
            raise Gone from None

    def signals(self, dtr: bool | None, rts: bool | None) -> None:
        try:
            if dtr is not None:
                self._line.dtr = dtr
            if rts is not None:
                self._line.rts = rts
        except (OSError, *ports.FAILURES):
            raise Gone from None

    def close(self) -> None:
        self._line.close()


class ProcessWire:
    """An emulator whose console is a pipe; it knows of no rates and no lines. The test may disturb what it says."""

    def __init__(self, words: list[str]) -> None:
        self._machine = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        self.disturbed = lambda data: data

    def open(self, baud: int) -> bool:
        return True

    def read(self) -> bytes:
        assert self._machine.stdout
        if not select.select([self._machine.stdout], [], [], POLL_SECONDS)[0]:
            return b""
        data = os.read(self._machine.stdout.fileno(), 65536)
        if not data:
            raise Gone
        return self.disturbed(data)

    def write(self, data: bytes) -> None:
        assert self._machine.stdin
        try:
            self._machine.stdin.write(data)
        except OSError:
            raise Gone from None

    def signals(self, dtr: bool | None, rts: bool | None) -> None: ...

    def close(self) -> None:
        self._machine.kill()
        self._machine.wait()


class PacedWire(ProcessWire):
    """The same, at the pace of 115200 bits per second: the chip's ROM takes no more."""

    BLOCK, SECONDS = 64, 64 * 10 / 115200

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), self.BLOCK):
            super().write(data[start : start + self.BLOCK])
            time.sleep(self.SECONDS)


class _Handler(page_server.Handler):
    """The page's files, and its port."""

    def __init__(self, *arguments: object, wire: Wire, opened: list[threading.Event], directory: str) -> None:
        self.wire, self.opened = wire, opened
        super().__init__(*arguments, directory=directory)

    def do_GET(self) -> None:
        if self.path != "/serial/read":
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        closed = threading.Event()
        self.opened.append(closed)
        try:
            while not closed.is_set():
                if data := self.wire.read():
                    self.wfile.write(data)
                    self.wfile.flush()
        except (Gone, ConnectionError):
            pass

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        words = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = True
        try:
            match url.path:
                case "/serial/open":
                    done = self.wire.open(int(words["baud"]))
                case "/serial/write":
                    self.wire.write(body)
                case "/serial/signals":
                    asserted = {name: value == "true" for name, value in words.items()}
                    self.wire.signals(asserted.get("dtr"), asserted.get("rts"))
                case "/serial/close":
                    for closed in self.opened:
                        closed.set()
                    self.opened.clear()
        except Gone:
            done = False
        self.send_response(200)  # anything else would be on the browser's console
        self.end_headers()
        self.wfile.write(b"done" if done else b"failed")


@contextmanager
def served(folder: Path, wire: Wire) -> Iterator[ThreadingHTTPServer]:
    """A server of the page whose port is this wire, which is closed at the end."""
    handler = partial(_Handler, wire=wire, opened=[], directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
            wire.close()
