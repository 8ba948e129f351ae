"""Where the trials of a search are kept: a file in the build folder, or a database that several machines share."""

import fcntl
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mgbuild.errors import UserError

SCHEMES: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}  # what a user types, and the driver
HEARTBEAT_SECONDS = 10  # between signs of life of what is being tried; without one for three times as long it is lost
MOST_RETRIES: Final = 2  # of a trial whose worker dies: it may be the trial that kills it
CONNECT_SECONDS: Final = 10


def _retry() -> RetryHeartbeatStaleTrialCallback:
    return RetryHeartbeatStaleTrialCallback(MOST_RETRIES)


@dataclass
class Storage:
    """An open storage."""

    optuna: BaseStorage
    name: str  # for people, without a password
    is_shared: bool  # other machines may be at work in it
    journal: JournalStorage | None = None  # of trials that are finished, where `optuna` is in memory
    retry: RetryHeartbeatStaleTrialCallback = field(default_factory=_retry)
    _held: ExitStack = field(default_factory=ExitStack)

    @property
    def rdb(self) -> RDBStorage | None:
        """The same, if it is a database."""
        return self.optuna if isinstance(self.optuna, RDBStorage) else None

    def reason(self, error: BaseException) -> str:
        """Why it failed, in a line without a password."""
        return _reason(error, self.rdb.engine.url) if self.rdb else str(error)

    def close(self) -> None:
        """Give it back."""
        if self.rdb:
            self.rdb.remove_session()
            self.rdb.engine.dispose()
        self._held.close()


def in_folder(folder: Path, study: str, quick: bool) -> Storage:
    """The file of a study in a folder, made if it is not there; raises UserError while another search has it.

    quick: trials are so short that SQLite, of which Optuna asks some ten transactions a trial, would take longer than
    they do; then a line at the end of a file, Optuna's journal, keeps each that is finished.
    """
    path = folder / f"{study}.{'journal' if quick else 'db'}"
    held = ExitStack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = held.enter_context((folder / f"{study}.lock").open("w"))
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise UserError(f"another search is at work in {path}; storage= names a database to share") from None
    if quick:
        journal = JournalStorage(JournalFileBackend(str(path)))
        return Storage(InMemoryStorage(), os.fspath(path), False, journal, _held=held)
    database = _open(URL.create("sqlite", database=os.fspath(path)))
    return Storage(database, os.fspath(path), False, _held=held)


def shared(text: str) -> Storage:
    """A database by its URL.

    Raises UserError, which never shows the password, for what is no URL, a scheme that is none of SCHEMES, or a
    database that cannot be reached.
    """
    url = _url(text)
    database = _open(url)
    return Storage(database, url.render_as_string(hide_password=True), True)


def _open(url: URL) -> RDBStorage:
    arguments = {"connect_timeout": CONNECT_SECONDS} if url.get_backend_name() == "postgresql" else {}
    try:
        return RDBStorage(
            url.set(drivername=SCHEMES[url.drivername]).render_as_string(hide_password=False),
            engine_kwargs={"connect_args": arguments},
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=3 * HEARTBEAT_SECONDS,
            heartbeat_stale_trial_callback=_retry(),
        )
    except (SQLAlchemyError, ImportError, RuntimeError, OSError) as error:
        name = url.render_as_string(hide_password=True)
        raise UserError(f"storage={name} cannot be reached: {_reason(error, url)}") from None


def _url(text: str) -> URL:
    scheme, found, _ = text.partition("://")
    if not found or scheme not in SCHEMES:
        shown = f"{scheme}://" if found else "what is no URL"
        raise UserError(f"storage= has {shown}, which is none of {', '.join(f'{name}://' for name in SCHEMES)}")
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise UserError(f"storage={scheme}://... is no URL; like {scheme}://NAME@HOST/DATABASE") from None


def _reason(error: BaseException, url: URL) -> str:
    """The first line of what the driver says, without the password."""
    cause: Any = error
    while inner := getattr(cause, "orig", None) or getattr(cause, "__cause__", None):
        cause = inner
    said = " ".join(str(cause).split()) or type(cause).__name__
    return said.replace(str(url.password), "***") if url.password else said
