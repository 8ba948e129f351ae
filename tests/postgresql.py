"""A PostgreSQL server for a test, with a folder, a socket and a password of its own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

DEBIAN = Path("/usr/lib/postgresql")  # which keeps the server's programs out of PATH
START_TIMEOUT = 60  # seconds


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    folder: Path  # of its socket
    password: str

    def url(self, password: str | None = None) -> str:
        """What storage= takes."""
        return f"postgresql://tuner:{password or self.password}@/postgres?host={self.folder}"


def programs() -> Path:
    """Folder of initdb and postgres, the newest; the test is skipped where there is none."""
    found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
    versions = [path.parent for path in DEBIAN.glob("*/bin/initdb")]
    found += sorted(versions, key=lambda path: float(path.parent.name), reverse=True)
    if not found:
        pytest.skip("A SHARED DATABASE IS NOT TESTED: no initdb here (Debian: postgresql)")
    return found[0]


@contextmanager
def running() -> Iterator[Server]:
    """A server, until the block ends. Its programs refuse root, for whom another user runs them."""
    # Not in pytest's folder, which others may not enter, and whose path may be too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="tune-"))
    user = {"user": "postgres" if _has_user("postgres") else "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, user["user"])
    server = Server(folder, secrets.token_hex(8))
    (folder / "password").write_text(server.password)
    (folder / "password").chmod(0o644)
    where, data = programs(), str(folder / "data")
    words = ["--auth=scram-sha-256", "--username=tuner", f"--pwfile={folder / 'password'}", "--no-sync", "-D", data]
    try:
        subprocess.run([where / "initdb", *words], check=True, capture_output=True, cwd="/", **user)
        words = ["-D", data, "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen([where / "postgres", *words], stdout=log, stderr=log, cwd="/", **user)
        try:
            end = time.monotonic() + START_TIMEOUT
            while "ready to accept connections" not in (folder / "log").read_text():
                assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.05)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            process.wait(START_TIMEOUT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_user(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())
