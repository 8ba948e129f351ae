"""How the build speaks of mistakes that a user can correct: a message and a status, never a traceback."""

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake of the user or of the machine's set-up: what was wrong, where, and what to do about it."""


def suggestion(word: str, valid: Iterable[str]) -> str:
    """Sentence that lists the valid words, led by the one closest to `word` if any is close."""
    names = sorted(valid, key=lambda name: (int(name) if name.isdigit() else 0, name))  # 2 before 16
    near = get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}valid: {', '.join(names)}"


def reporting(function: Callable[..., int | None]) -> Callable[..., int]:
    """The build action `function`, with a UserError turned into a message on stderr and status 1."""

    def action(target: list, source: list, env: object) -> int:
        try:
            return function(target, source, env) or 0
        except UserError as error:
            message = str(error)
        except ModuleNotFoundError as error:
            files = "-r requirements.txt -r requirements-more.txt"
            message = f"no Python package {error.name}: pip install {files}, or run ./sconsw"
        sys.stdout.flush()
        print(f"error: {message}", file=sys.stderr, flush=True)
        return 1

    return action
