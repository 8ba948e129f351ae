"""What SCons notes about its products between two runs, in one file: the database module that SConsignFile takes.

SCons's own leaves a traceback where the disk is full, and what it has written half.
"""

import pickle
import sys
from pathlib import Path

from mgbuild.plan import build_folder


class Notes(dict):
    """Bytes by name, read from a file; without it, or should it be damaged, there are none, and all is made again."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        try:
            self.update(pickle.loads(path.read_bytes()))
        except Exception:  # whatever unpickling damaged bytes raises
            self.clear()

    def sync(self) -> None:
        """Write the file."""
        try:
            build_folder.write(self._path, pickle.dumps(dict(self)))
        except OSError as error:
            print(
                f"{self._path} cannot be written: {error.strerror}; the next build makes again what this one has made",
                file=sys.stderr,
            )


def open(file: str, flag: str) -> Notes:  # noqa: A001 - the name that SCons calls
    """The notes in a file."""
    return Notes(Path(file))
