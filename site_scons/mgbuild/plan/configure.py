"""What a program is made from: the generated headers, and the same as a record that goes with what was built or
measured."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mgbuild.errors import UserError
from mgbuild.plan import dataset
from mgbuild.plan.options import MODEL, OPTIONS, RUN, Settings
from mgbuild.plan.shape import Shape

# Every option that the bytes of a firmware depend on, but for how its flash is read.
IN_FIRMWARE = tuple(option for option in OPTIONS if option.group in (MODEL, RUN) or option.name in ("kernels", "baud"))


@dataclass(frozen=True)
class Version:
    """Which sources: what git calls them, and the day of their last commit (UTC), or "" where that is not known."""

    name: str
    date: str = ""


def sizes(settings: Settings) -> dict[str, int]:
    """The options that are sizes of the model."""
    return {name: getattr(settings, name) for name in ("n_embd", "n_head", "n_layer", "block_size")}


def resumed(settings: Settings) -> Settings:
    """The settings of a run: those of the checkpoint that it goes on from, where it does.

    Raises UserError when that is none.
    """
    if not settings.resume:
        return settings
    from microgpt.checkpoint import Checkpoint, CheckpointError  # here, so that other runs take no package but SCons

    try:
        kept = Checkpoint.open(settings.resume)
    except CheckpointError as error:
        raise UserError(f"resume={error}") from None
    chosen = {name: kept[name] for name in ("n_embd", "n_head", "n_layer", "block_size")}
    if kept.has_state:
        chosen |= {name: kept[name] for name in ("steps", "lr", "temperature", "samples", "log_every")}
        chosen["seed"] = kept.seed
    return replace(settings, **chosen)


def model(sizes: Mapping[str, int], image: Path) -> tuple[Shape, int]:
    """Shape of the model of these sizes that learns a packed data set, and the number of its documents."""
    header = dataset.read_header(image.read_bytes())
    return Shape(vocab_size=header.num_chars + 1, **sizes), header.num_docs


def made_from(settings: Settings, version: Version) -> dict[str, Any]:
    """What a firmware is made from, as JSON has it.

    version, date: of its sources; options: their values; changed: the defaults of those that have another value.
    """
    values = {option.name: getattr(settings, option.name) for option in IN_FIRMWARE}
    # The default text need not be there.
    defaults = {
        option.name: Path(option.default) if option.name == "dataset" else option.parse(option.default)
        for option in IN_FIRMWARE
    }
    changed = {name: defaults[name] for name in values if _comparable(values[name]) != _comparable(defaults[name])}
    return {
        "version": version.name,
        "date": version.date,
        "options": {name: _as_json(value) for name, value in values.items()},
        "changed": {name: _as_json(value) for name, value in changed.items()},
    }


def check_default(settings: Settings, target: str) -> None:
    """Raise UserError unless every option that a firmware depends on has its default, which a target is about."""
    changed = made_from(settings, Version(""))["changed"]
    if changed:
        raise UserError(f"{target} shows the default program: leave out {', '.join(f'{name}=' for name in changed)}")


def with_text(record: Mapping[str, Any], image: Path) -> dict[str, Any]:
    """The record of `made_from` and what a packed data set says of its text, whose name alone does not tell."""
    header = dataset.read_header(image.read_bytes())
    text = {"documents": header.num_docs, "vocab_size": header.num_chars + 1, "crc32": f"{header.crc32:08x}"}
    return {**record, "text": text}


def _comparable(value: Any) -> Any:
    return os.path.abspath(value) if isinstance(value, Path) else value


def _as_json(value: Any) -> Any:
    """A path becomes a name, which is the same wherever the file is; the seed that the chip draws has a word."""
    return value.name if isinstance(value, Path) else "hw" if value is None else value


def run_config(settings: Settings) -> str:
    """Text of run_config.h."""
    return _header({"CONSOLE_BAUD": settings.baud})


def version(folder: Path) -> Version:
    """Version of the sources in a folder: `git describe`, or "unknown" without git or outside a repository.

    SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch) in the environment is its date instead
    of the commit's, never the clock: the same sources give the same bytes. Raises UserError when that is no time.
    """
    name = _git(folder, "describe", "--always", "--dirty", "--tags") or "unknown"
    seconds = os.environ.get("SOURCE_DATE_EPOCH") or _git(folder, "log", "-1", "--format=%ct")
    try:
        return Version(name, datetime.fromtimestamp(int(seconds), UTC).date().isoformat() if seconds else "")
    except (ValueError, OverflowError, OSError):
        raise UserError(f"SOURCE_DATE_EPOCH={seconds} must be seconds since 1970; unset it, or correct it") from None


def _git(folder: Path, *words: str) -> str:
    """What git says of the repository whose top folder this is; "" where there is none, or no git."""
    if not (folder / ".git").exists():  # a copy inside another repository is not that repository
        return ""
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def version_header(version: Version) -> str:
    """Text of version.h."""
    return _header({"VERSION": f'"{version.name}"'})


def _header(macros: Mapping[str, object]) -> str:
    lines = ["// Generated by the build from its options; changes here are lost.", "#pragma once", ""]
    lines += [f"#define {name} {value}" for name, value in macros.items()]
    return "\n".join(lines) + "\n"
