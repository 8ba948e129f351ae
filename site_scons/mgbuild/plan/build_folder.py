"""The folder that takes everything the build makes: whose it is, who works in it, how files come into it."""

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mgbuild.errors import UserError

# The tag of https://bford.info/cachedir, so that backup programs leave the folder out. Other programs tag their folders
# too: only one with these very bytes is the build's own, which `scons -c` removes as a whole.
TAG = "CACHEDIR.TAG"
MARK = b"Signature: 8a477f597d28d172789f06886806bc55\n# Everything here can be built again.\n"

UNSAFE_IN_COMMANDS = "$\"'%\\`\n"
UNFINISHED = ".unfinished"  # ends the name of a file that is being written


def parse(text: str) -> Path:
    """A folder that is new, empty, or was made by an earlier build; raises ValueError for any other."""
    path = Path(text)
    odd = sorted(set(text) & set(UNSAFE_IN_COMMANDS))
    if odd:
        raise ValueError(f"has {' '.join(odd)} in it, which the tools of a build take for more than a name")
    try:
        if not text or (path.exists() and not path.is_dir()):
            raise ValueError("must name a folder")
        if path.is_dir() and not _is_ours(path):
            raise ValueError("already holds files that no build has made; name a new or empty folder")
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return path


def make(path: Path) -> None:
    """Create the folder with its mark; raises UserError where that cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if _tag(path) != MARK:
            (path / TAG).write_bytes(MARK)
    except OSError as error:
        raise UserError(f"build={path} cannot be written: {error.strerror}") from None


def _is_ours(path: Path) -> bool:
    names, tag = [entry.name for entry in path.iterdir()], _tag(path)
    # A build that dies at once leaves nothing but a part of the tag.
    return not names or tag == MARK or (names == [TAG] and tag is not None and MARK.startswith(tag))


def _tag(path: Path) -> bytes | None:
    try:
        with (path / TAG).open("rb") as file:
            return file.read(len(MARK) + 1)
    except OSError:
        return None


class Lock:
    """The right to work in a folder, for one process and the programs it starts; whoever dies gives it back.

    It is on the folder itself, so nothing is left behind.
    """

    def __init__(self, path: Path) -> None:
        """Take it, or wait for it after a sentence on stderr. Makes the folder, should another build remove it."""
        self._path = path
        self.descriptor = self._take()

    def _take(self) -> int:
        told = False
        while True:
            make(self._path)
            descriptor = os.open(self._path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    print(
                        f"another build is at work in {self._path}; waiting for it to end "
                        "(build=DIR lets two work side by side)",
                        file=sys.stderr,
                        flush=True,
                    )
                told = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if os.path.samestat(os.fstat(descriptor), os.stat(self._path)):
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)  # the one before has removed the folder: this lock is on nothing

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let others work in the folder meanwhile."""
        os.close(self.descriptor)
        try:
            yield
        finally:
            self.descriptor = self._take()


def write(path: Path, content: bytes) -> None:
    """Write a file as a whole: who reads it meanwhile, or after a crash, finds the old one or the new one."""
    replace({path: content})


def replace(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together: a crash leaves the old ones, or some of the new ones, but never both."""
    try:
        for path, content in contents.items():
            _beside(path).write_bytes(content)
        for path in contents if len(contents) > 1 else ():
            path.unlink(missing_ok=True)
        for path in contents:
            _beside(path).replace(path)
    finally:
        for path in contents:
            _beside(path).unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what writing left that was broken off."""
    for path in folder.rglob(f"*{UNFINISHED}"):
        path.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + UNFINISHED)
