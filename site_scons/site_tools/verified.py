"""SCons tool: nothing that SCons remembers is believed unless the bytes on the disk agree.

SCons notes what it has made when it ends, and takes a file that is there for the one it has made. A build that was
killed, refused, or ran out of disk leaves others. Here a product is up to date when what it is made from is, by
content, what it was, and when it itself is, by content, what came out then. SCons asks this for every file that a
product is made from, but not for a Value: each product needs a file too, such as the Python that makes it (own_code).
"""

import functools
import os
import subprocess
from collections.abc import Callable
from typing import Any

from mgbuild.plan.build_folder import Lock
from SCons.Script import SetOption
from SCons.Script.SConscript import SConsEnvironment
from SCons.Util import hash_file_signature


def _has_changed(dependency: Any, target: Any, before: Any, repository: Any = None) -> bool:
    return dependency.changed_content(target, before, repository) or not _is_as_made(target)


def _is_as_made(target: Any) -> bool:
    made = getattr(target.get_stored_info().ninfo, "csig", None)
    path = target.get_abspath()
    try:
        state = os.stat(path)
        return made == _content(path, state.st_ino, state.st_size, state.st_mtime_ns)
    except OSError:
        return False


@functools.cache
def _content(path: str, *state: int) -> str:
    """SCons's hash of a file, read once while its state is the same: a product has many dependencies."""
    return hash_file_signature(path)


def _spawn_with(lock: Lock) -> Callable[..., int]:
    """SCons's way to run a compiler, which keeps the build folder's lock until it ends, though SCons be killed."""

    def spawn(shell: str, escape: object, command: str, arguments: list[str], environment: dict[str, str]) -> int:
        words = [shell, "-c", " ".join(arguments)]
        return subprocess.run(words, env=environment, pass_fds=[lock.descriptor], check=False).returncode

    return spawn


def generate(env: SConsEnvironment) -> None:
    """env["LOCK"] is the lock of the build folder, or None where nothing is to be made."""
    SetOption("max_drift", -1)  # read every source, however old its date
    env.Decider(_has_changed)
    if env["LOCK"]:
        env["SPAWN"] = _spawn_with(env["LOCK"])


def exists(env: SConsEnvironment) -> bool:
    return True
