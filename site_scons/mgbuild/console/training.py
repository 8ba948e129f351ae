"""What the lines of a run tell about its progress, as figures and as the rows of the live view."""

import re
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from rich.cells import cell_len, set_cell_size

AVERAGED = 10  # printed losses in the moving average
AVERAGES_MOST = 999  # odd: of one more, every second is kept and the last is among them
SPARKS = "▁▂▃▄▅▆▇█"
SPARKLINE_LEAST, SPARKLINE_MOST = 8, 40
BAR_LEAST, BAR_MOST = 10, 20
RATE_SECONDS = 0.05  # what comes within is no measure: lines that were read at once
LAST_NAMES = 40  # kept, more than a row has room for

RESTART = re.compile(r"^rst:0x")  # the ROM's first words
_STEP = re.compile(r"^step +([0-9]{1,9}) / +([0-9]{1,9}) \| loss ([0-9]{1,9}\.[0-9]{4})$")
_SAMPLE = re.compile(r"^sample +[0-9]{1,9}: (.*)$")
_REMARK, _STREAM_BEGINS, _RUN_ENDS = "# ", "# more names", "weights crc32"


class Kind(Enum):
    """What a line is to the live view."""

    OTHER = auto()
    STEP = auto()
    NAME = auto()
    STREAMED = auto()  # one of the names without end that follow a run


class Training:
    """The progress of a run, from its lines and the seconds at which they came."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.step = self.steps = 0
        self.averages: list[float] = []  # of the printed losses, moving; at most AVERAGES_MOST, equally distant
        self.names: deque[str] = deque(maxlen=LAST_NAMES)
        self.streamed = 0
        self.shown = False  # whether there is something that a live view should show
        self._losses: deque[float] = deque(maxlen=AVERAGED)
        self._printed, self._kept_every = 0, 1
        self._streaming = False
        self._first: tuple[float, int] | None = None  # time and step of the first line since training went on
        self._last: tuple[float, int] | None = None

    def read(self, line: str, now: float) -> Kind:
        """Take a line in."""
        if RESTART.match(line):
            self._begin()
        elif found := _STEP.match(line):
            self._read_step(int(found[1]), int(found[2]), float(found[3]), now)
            return Kind.STEP
        elif found := _SAMPLE.match(line):
            self.names.append(found[1])
            return Kind.NAME
        elif line.startswith(_STREAM_BEGINS):
            self._streaming = self.shown = True
        elif line.startswith(_RUN_ENDS):
            self.shown = False
        elif self._streaming and not line.startswith(_REMARK):
            self.names.append(line)
            self.streamed += 1
            return Kind.STREAMED
        return Kind.OTHER

    def _read_step(self, step: int, steps: int, loss: float, now: float) -> None:
        if step <= self.step or steps != self.steps:  # another run
            self._begin()
        self.step, self.steps = step, steps
        self._losses.append(loss)
        self._printed += 1
        if self._printed % self._kept_every == 0:
            self.averages.append(self.average)
        if len(self.averages) > AVERAGES_MOST:
            self.averages = self.averages[1::2]
            self._kept_every *= 2
        self._first = self._first or (now, step)
        self._last = (now, step)
        self.shown = steps > 0

    def pause(self) -> int:
        """The program waits for a command: time stops. Returns how many names were streamed until then."""
        streamed, self.streamed = self.streamed, 0
        self._streaming = self.shown = False
        self._first = self._last = None
        return streamed

    @property
    def average(self) -> float:
        """Mean of the last losses that were printed."""
        return sum(self._losses) / len(self._losses)

    @property
    def steps_per_second(self) -> float | None:
        """Mean of the lines so far; None while they say too little."""
        if not self._first or not self._last or self._last[0] - self._first[0] < RATE_SECONDS:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the lines so far; None while they say too little."""
        rate = self.steps_per_second
        return (self.steps - self.step) / rate if rate else None

    def rows(self, width: int) -> list[str]:
        """The live view in `width` columns; none where there is nothing to show."""
        if not self.shown:
            return []
        if self._streaming:
            count = f"{self.streamed:,} more names"
            return [_fitted({"count": count, "names": "  " + self._last_names(width - len(count) - 2)}, "", width)]
        rows = [self._progress_row(width), self._loss_row(width)]
        if self.names:
            rows.append(_fitted({"label": "names ", "names": self._last_names(width - 6)}, "", width))
        return rows

    def _progress_row(self, width: int) -> str:
        rate, left = self.steps_per_second, self.seconds_left
        pieces = {  # in order of importance
            "step": f"step {self.step} / {self.steps}",
            "left": "" if left is None else f"  {int(left) // 60}:{int(left) % 60:02d} left",
            "rate": "" if rate is None else f"  {rate:,.0f} steps/s" if rate >= 10 else f"  {rate:.1f} steps/s",
        }
        text = _fitted(pieces, "step rate left", width)
        cells = min(width - len(text) - 1, BAR_MOST)
        done = round(cells * min(self.step / self.steps, 1))
        return f"{'━' * done}{'─' * (cells - done)} {text}" if cells >= BAR_LEAST else text

    def _loss_row(self, width: int) -> str:
        text = f"loss, mean of {len(self._losses)}: {self.average:.4f}"[:width]
        room = min(width - len(text) - 2, SPARKLINE_MOST)
        return f"{text}  {sparkline(self.averages, room)}" if room >= SPARKLINE_LEAST else text

    def _last_names(self, width: int) -> str:
        """As many of the last names as have room, the newest last; of the newest at least its beginning."""
        if not self.names:
            return ""
        text = set_cell_size(self.names[-1], max(min(width, cell_len(self.names[-1])), 0))
        for name in list(self.names)[-2::-1]:
            if cell_len(name) + 1 + cell_len(text) > width:
                break
            text = f"{name} {text}"
        return text


def _fitted(pieces: dict[str, str], order: str, width: int) -> str:
    """Pieces, given in order of importance, in the order of their names; those without room in `width` are left out."""
    shown = {}
    for name, piece in pieces.items():
        if cell_len(piece) <= width:
            shown[name] = piece
            width -= cell_len(piece)
    return "".join(shown.get(name, "") for name in order.split() or pieces)


def sparkline(values: Sequence[float], width: int = SPARKLINE_MOST) -> str:
    """Values as a row of at most `width` bars, the means of equal shares; the lowest is the shortest."""
    shares = min(width, len(values))
    bounds = [len(values) * index // shares for index in range(shares + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(bounds, bounds[1:], strict=False)]
    low, span = min(means), max(means) - min(means) or 1.0
    return "".join(SPARKS[round((mean - low) / span * (len(SPARKS) - 1))] for mean in means)
