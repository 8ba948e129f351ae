"""What a console's reader gets: plain lines in a pipe; on a terminal the same, with a live view of training below."""

import sys
from collections.abc import Callable
from textwrap import wrap
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text

from mgbuild.console.lines import PROMPT, Lines, displayable, readable, without_cut_escape
from mgbuild.console.training import RESTART, Kind, Training

LAST_NAMES = 5  # of a stream, that stay on the screen
FRAME_SECONDS = 0.05  # between two drawings of the live view
WHOLE_LINE_SECONDS = 0.1  # how long the rest of a line is waited for before its beginning is shown


class View(Protocol):
    """Where the lines of a console go."""

    def show(self, line: str, alarm: bool = False, streamed: bool = False) -> None:
        """A complete line; `streamed`: one of names without end."""

    def advise(self, text: str) -> None:
        """A hint of the monitor's own."""

    def note(self, text: str) -> None:
        """What a reader of the live view has not seen as lines."""

    def restart(self) -> None:
        """A new start of the program follows."""

    def refresh(self, pending: str, rows: Callable[[int], list[str]], now: float) -> None:
        """Show what has come of a line that is not complete, and the live view: its rows for a width in columns."""

    def close(self) -> None:
        """Nothing more comes."""


class PlainView:
    """What a pipe gets: lines and nothing else; advice goes to stderr."""

    def show(self, line: str, alarm: bool = False, streamed: bool = False) -> None:
        print(readable(line), flush=True)

    def advise(self, text: str) -> None:
        print(f"hint: {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None: ...

    def restart(self) -> None: ...

    def refresh(self, pending: str, rows: Callable[[int], list[str]], now: float) -> None: ...

    def close(self) -> None: ...


class LiveView:
    """What a terminal gets: whole lines above a few rows that change.

    Where the program has left a line unfinished, at its prompt or for WHOLE_LINE_SECONDS, the rows go away and every
    character appears as it comes. Names without end change the rows alone.
    """

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live: Live | None = None  # while there are rows
        self._rows: list[str] = []
        self._width = self._console.width
        self._waiting: list[tuple[str, str]] = []  # lines that the next drawing shows, with their styles
        self._started = 0  # characters of the line without an end that the screen has
        self._pending_since = self._drawn_at = 0.0
        self._pending = ""

    def show(self, line: str, alarm: bool = False, streamed: bool = False) -> None:
        if self._started:
            self._write(displayable(line[self._started :], line.startswith(PROMPT)) + "\n")
            self._started = 0
        elif not streamed:
            self._waiting.append((readable(line), "red" if alarm else ""))

    def advise(self, text: str) -> None:
        self._remark(f"hint: {text}", "yellow")

    def note(self, text: str) -> None:
        self._remark(text, "dim")

    def restart(self) -> None:
        self._remark("─" * 8 + " restart", "green")

    def refresh(self, pending: str, rows: Callable[[int], list[str]], now: float) -> None:
        if pending != self._pending:
            self._pending, self._pending_since = pending, now
        due = pending and (
            self._started or pending.startswith(PROMPT) or now - self._pending_since > WHOLE_LINE_SECONDS
        )
        content = [] if due else rows(self._console.width - 1)[: max(self._console.height - 2, 1)]
        if content or self._live:
            if not due and now - self._drawn_at < FRAME_SECONDS:
                return
            self._drawn_at = now
        self._draw(content)
        if due:
            text = without_cut_escape(pending)
            self._write(displayable(text[self._started :], pending.startswith(PROMPT)))
            self._started = max(self._started, len(text))

    def close(self) -> None:
        if self._started:
            self._write("\n")
            self._started = 0
        self._draw([])

    def _remark(self, text: str, style: str) -> None:
        if self._started:  # the line that is being typed goes on below
            self._write("\n")
            self._started = 0
        self._waiting += [(row, style) for row in wrap(text, self._console.width)]

    def _draw(self, rows: list[str]) -> None:
        if rows == self._rows and not self._waiting and self._console.width == self._width:
            return
        self._follow_width()
        with self._console:  # one write: nothing of it is seen half done
            self._draw_at_once(rows)
        self._rows = rows

    def _draw_at_once(self, rows: list[str]) -> None:
        if rows and not self._live:  # a new one: an old one would go up to where its rows were
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start()
        if self._waiting:
            self._console.print(Text("\n").join(Text(*waiting) for waiting in self._waiting), soft_wrap=True)
            self._waiting.clear()
        if rows and self._live:
            self._live.update(Text("\n".join(rows), overflow="crop", no_wrap=True, style="cyan"), refresh=True)
        elif self._live:
            self._live.stop()
            self._live = None

    def _follow_width(self) -> None:
        """Where the terminal has become narrower and broken the rows, go up to the first of as many as Live knows."""
        width, before = self._console.width, self._width
        self._width = width
        if self._live and width < before:
            broken = sum((max(cell_len(row), 1) - 1) // width for row in self._rows)
            self._write("\r\x1b[2K" + "\x1b[A\x1b[2K" * broken)

    def _write(self, text: str) -> None:
        """Characters as they are, where the cursor is."""
        if text:
            self._console.file.write(text)
            self._console.file.flush()


class Display:
    """A console from bytes to a view, with what its lines tell about training."""

    def __init__(self, view: View) -> None:
        self.view, self.lines, self.training = view, Lines(), Training()

    def show(self, line: str, now: float, alarm: bool = False) -> None:
        """Show a complete line; `now`: seconds."""
        if RESTART.match(line) and self.training.step:
            self.view.restart()
        kind = self.training.read(readable(line), now)
        self.view.show(line, alarm, streamed=kind is Kind.STREAMED)

    @property
    def at_prompt(self) -> bool:
        """Whether the program waits for a command."""
        return self.lines.pending.startswith(PROMPT)

    def refresh(self, now: float) -> None:
        """Show what has come of the next line, and the figures of the training."""
        if self.at_prompt and (streamed := self.training.pause()):
            self.view.note(f"{streamed:,} more names, the last: {' '.join(list(self.training.names)[-LAST_NAMES:])}")
        self.view.refresh(self.lines.pending, self.training.rows, now)
