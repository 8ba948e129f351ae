"""What a console's reader sees: lines from bytes, the figures of a training, and a terminal's screen, emulated."""

import codecs
import io
from collections.abc import Callable

import pyte
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mgbuild.console import keys, lines, training, views
from mgbuild.console.keys import Command, Keyboard, TypeAhead
from mgbuild.console.lines import Lines, displayable, readable
from mgbuild.console.training import Kind, Training, sparkline
from mgbuild.console.views import Display, LiveView
from rich.cells import cell_len
from stand_in_console import BOOT, step_line

STEPS = "".join(f"step {step:4d} / 1000 | loss {3.3 - step / 1000:.4f}\n" for step in (1, 100, 200, 300))


class TestLines:
    """Bytes become lines, however they are cut and whatever they are."""

    def test_characters_that_arrive_in_pieces_and_bytes_that_are_none(self) -> None:
        stream = Lines()
        first, rest = "é大\r\n".encode()[:3], "é大\r\n".encode()[3:]
        assert stream.feed(first) == []
        assert stream.feed(rest + b"\xff!\nend\nand") == ["é大", "\ufffd!", "end"]
        assert stream.pending == "and"
        assert stream.rest() == "and"
        assert stream.rest() == ""

    @given(st.lists(st.binary(max_size=40)))
    @example([b"x" * (lines.LINE_LIMIT - 1), b"xx\n"])
    @example([b"x" * (3 * lines.LINE_LIMIT) + b"\r", b"\n"])
    @example([b"\xf0\x9f", b"\x92", b"\n", b"\xf0"])
    def test_where_they_are_cut_changes_nothing(self, pieces: list[bytes]) -> None:
        at_once, cut = Lines(), Lines()
        expected = at_once.feed(b"".join(pieces))
        assert [line for piece in pieces for line in cut.feed(piece)] == expected
        assert cut.rest() == at_once.rest()

    @given(st.binary(max_size=300))
    def test_nothing_is_lost(self, data: bytes) -> None:
        stream = Lines()
        text = "\n".join([*stream.feed(data), stream.rest()])
        whole = codecs.decode(data, "utf-8", "replace")
        assert text == "\n".join(line.rstrip("\r") for line in whole.split("\n"))

    def test_a_line_without_an_end_is_given_out_in_parts(self) -> None:
        stream = Lines()
        given_out = [line for _ in range(100) for line in stream.feed(b"x" * 100)]
        assert {len(line) for line in given_out} == {lines.LINE_LIMIT}
        assert sum(map(len, given_out)) + len(stream.rest()) == 100 * 100


class TestEditing:
    """What a program edits its prompt's line with works there; elsewhere and otherwise control characters are shown."""

    @pytest.mark.parametrize(
        ("line", "meant"),
        [
            ("> trian\b \b\b \b\b \bain", "> train"),
            ("> loss emma\r\x1b[K> names 3", "> names 3"),
            ("> los emma\x1b[5D\x1b[@s", "> loss emma"),
            ("> losss\x1b[D\x1b[P", "> loss"),
            ("> éä\b \b", "> é"),
            ("> full\a", "> full"),
            ("> \x1b[2Jx", "> ␛[2Jx"),
            ("\x1b[2Jgone?\x07\b", "␛[2Jgone?␇␈"),
            ("plain\ttext", "plain\ttext"),
        ],
    )
    def test_a_line_reads_as_it_was_seen_last(self, line: str, meant: str) -> None:
        assert readable(line) == meant
        screen = pyte.Screen(40, 2)
        pyte.Stream(screen).feed(displayable(line, line.startswith("> ")))
        assert screen.display[0].rstrip() == meant.expandtabs()

    @given(st.text(max_size=50), st.booleans())
    def test_nothing_else_reaches_a_terminal(self, text: str, of_prompt: bool) -> None:
        allowed = "\t\a\b\r\x1b" if of_prompt else "\t"
        shown = displayable(text, of_prompt)
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown if c not in allowed)
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in readable("> " + text) if c != "\t")


def trained(text: str, seconds: float = 1.0) -> Training:
    """The progress that these lines tell, one every so many seconds."""
    progress = Training()
    for number, line in enumerate(text.splitlines()):
        progress.read(line, number * seconds)
    return progress


def test_average_rate_and_time_left() -> None:
    progress = trained("step    1 / 1000 | loss 3.0000\nstep  101 / 1000 | loss 2.0000\nstep  201 / 1000 | loss 1.0000")
    assert progress.average == pytest.approx(2.0)
    assert progress.averages == pytest.approx([3.0, 2.5, 2.0])
    assert progress.steps_per_second == pytest.approx(100)
    assert progress.seconds_left == pytest.approx(7.99)


def test_the_average_moves() -> None:
    progress = trained("".join(step_line(step, 1000) + "\n" for step in range(1, 51)))
    last = [float(step_line(step, 1000).split()[-1]) for step in range(51 - training.AVERAGED, 51)]
    assert progress.average == pytest.approx(sum(last) / len(last))


def test_a_long_run_keeps_a_bounded_history_to_its_end() -> None:
    progress = trained("".join(f"step {step:4d} / 9000 | loss {step}.0000\n" for step in range(1, 9001)))
    assert len(progress.averages) <= training.AVERAGES_MOST
    distances = {round(b - a) for a, b in zip(progress.averages[9:], progress.averages[10:], strict=False)}
    assert len(distances) == 1
    assert progress.averages[-1] > 8900


def test_the_next_run_and_a_restart_begin_anew() -> None:
    again = trained("".join(f"step {step:4d} / 1000 | loss 2.0000\n" for step in (1, 1000, 1, 101)))
    assert (again.step, len(again.averages), again.seconds_left) == (101, 2, pytest.approx(8.99))
    assert trained(STEPS + "rst:0x7 (TG0WDT_SYS_RESET),boot:0x13\n").rows(80) == []


def test_time_at_the_prompt_does_not_count() -> None:
    progress = Training()
    for second, step in ((0.0, 1), (1.0, 101)):
        progress.read(f"step {step:4d} / 1000 | loss 2.0000", second)
    progress.pause()
    assert progress.rows(80) == []
    for second, step in ((500.0, 201), (501.0, 301)):
        progress.read(f"step {step:4d} / 1000 | loss 2.0000", second)
    assert progress.steps_per_second == pytest.approx(100)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (10, ["", "loss, mean"]),
        (20, ["step 300 / 1000", "loss, mean of 4: 3.1"]),
        (38, ["━━━──────── step 300 / 1000  0:07 left", "loss, mean of 4: 3.1498  █▆▃▁"]),
        (59, ["━━━━━━───────────── step 300 / 1000  100 steps/s  0:07 left", "loss, mean of 4: 3.1498  █▆▃▁"]),
        (79, ["━━━━━━────────────── step 300 / 1000  100 steps/s  0:07 left", "loss, mean of 4: 3.1498  █▆▃▁"]),
    ],
)
def test_a_narrow_terminal_shows_what_matters(width: int, shown: list[str]) -> None:
    assert trained(STEPS).rows(width) == shown


def test_the_last_names_are_in_the_view() -> None:
    run = STEPS + "sample  1: kamon\nsample  2: ann\nsample  3: 大衛大衛大衛\n"
    assert trained(run).rows(79)[2] == "names kamon ann 大衛大衛大衛"
    assert trained(run).rows(23)[2] == "names ann 大衛大衛大衛"
    assert trained(run).rows(13)[2] == "names 大衛大 "
    assert trained(run + "weights crc32: e5240774\n").rows(79) == []
    stream = trained(run + "weights crc32: e5240774\n# more names; a key gives the prompt\nkarai\njaire\n")
    assert stream.rows(50) == ["2 more names  kamon ann 大衛大衛大衛 karai jaire"]
    assert stream.rows(25) == ["2 more names  karai jaire"]


@given(st.lists(st.text(max_size=30) | st.sampled_from([*STEPS.splitlines(), "sample  1: x", "# more names"])))
def test_no_line_breaks_the_view(text: list[str]) -> None:
    progress = Training()
    for line in text:
        progress.read(readable(line), 1.0)
        for width in (0, 1, 7, 20, 40, 200):
            assert all(cell_len(row) <= width for row in progress.rows(width))


@pytest.mark.parametrize(
    ("values", "bars"),
    [([1.0], "▁"), ([2.0, 2.0], "▁▁"), ([0.0, 7.0], "▁█"), ([float(i) for i in range(8)], "▁▂▃▄▅▆▇█")],
)
def test_sparkline(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


def test_a_sparkline_keeps_its_width() -> None:
    assert len(sparkline([float(i % 17) for i in range(1000)], width=40)) == 40


class Screen:
    """A display on an emulated terminal with a scrollback; time passes between what is fed."""

    def __init__(self, columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self.stream = pyte.Stream(self.screen)
        self.file = io.StringIO()
        console = terminal_console(self.file, columns, rows)
        monkeypatch.setattr(views, "Console", lambda **_: console)
        self.view = LiveView()
        self.display, self.now = Display(self.view), 0.0

    def feed(self, text: str | bytes, seconds: float = 0.2) -> None:
        """What a program says, and the time until it says more."""
        for line in self.display.lines.feed(text.encode() if isinstance(text, str) else text):
            self.display.show(line, self.now)
        self.display.refresh(self.now)
        self.now += seconds
        self.display.refresh(self.now)
        self._draw()

    def close(self) -> None:
        self.view.close()
        self._draw()

    def _draw(self) -> None:
        self.stream.feed(self.file.getvalue().replace("\n", "\r\n"))  # as a terminal's driver does
        self.file.seek(0)
        self.file.truncate()

    @property
    def text(self) -> str:
        """Everything that was shown and still is, the scrollback too."""
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self.screen.display]).rstrip("\n")

    @property
    def cursor(self) -> int:
        return self.screen.cursor.x


def terminal_console(file: io.StringIO, columns: int, rows: int) -> views.Console:
    """A console of rich that writes to a file as to a terminal."""
    return views.Console(
        file=file, force_terminal=True, width=columns, height=rows, color_system="standard", legacy_windows=False
    )


@pytest.fixture(params=[(80, 24), (60, 20), (40, 15)], ids=["80x24", "60x20", "40x15"])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(*request.param, monkeypatch)


class TestLiveView:
    """Lines, and below them rows that change and leave nothing behind."""

    def test_the_scrollback_holds_the_lines_and_nothing_else(self, screen: Screen) -> None:
        run = [step_line(step, 1000) for step in range(10, 1001, 10)]
        run += ["", "sample  1: kamon", "weights crc32: e5240774", "# more names; a key gives the prompt"]
        for line in run:
            screen.feed(line + "\r\n")
        screen.feed("kamon\r\nann\r\n")
        assert screen.text.splitlines()[-1].startswith("2 more names  kamon kamon ann")
        screen.feed("> ")
        screen.close()
        assert screen.text.splitlines() == [*run, "2 more names, the last: kamon kamon ann", ">"]

    def test_rows_are_below_the_lines_while_it_trains(self, screen: Screen) -> None:
        for line in STEPS.splitlines():
            screen.feed(line + "\r\n")
        *above, progress, loss = screen.text.splitlines()
        assert above == STEPS.splitlines()
        assert "step 300 / 1000" in progress
        assert loss.startswith("loss, mean of 4: 3.1498  █")

    def test_a_prompt_and_what_is_typed_appear_at_once(self, screen: Screen) -> None:
        screen.feed(STEPS)
        for text, shown in (("> ", ">"), ("lo", "> lo"), ("ss\b", "> loss"), (" \b", "> los"), ("s é", "> loss é")):
            screen.feed(text, seconds=0)
            assert screen.text.splitlines() == [*STEPS.splitlines(), shown]
        assert screen.cursor == len("> loss é")
        screen.feed("\r\n# emma 2.1\r\nok\r\n> ", seconds=0)
        assert screen.text.splitlines()[-4:] == ["> loss é", "# emma 2.1", "ok", ">"]

    @pytest.mark.parametrize("cut", range(1, 9))
    def test_escape_sequences_that_arrive_in_pieces(self, screen: Screen, cut: int) -> None:
        text = "> ab\x1b[2D\x1b[K"
        screen.feed(text[: -cut or None], seconds=0)
        screen.feed(text[-cut:], seconds=0)
        assert screen.text == ">"

    def test_training_that_goes_on_after_the_prompt(self, screen: Screen) -> None:
        screen.feed(STEPS + "> ")
        screen.feed("train\r\n" + step_line(400, 1000) + "\r\n")
        assert "> train\n" + step_line(400, 1000) + "\n" in screen.text
        assert "step 400 / 1000" in screen.text.splitlines()[-2]

    def test_a_line_that_comes_slowly_is_shown_in_parts(self, screen: Screen) -> None:
        screen.feed(STEPS + "# writing", seconds=views.WHOLE_LINE_SECONDS / 2)
        assert "writing" not in screen.text
        screen.feed("", seconds=views.WHOLE_LINE_SECONDS)
        assert screen.text.endswith("\n# writing")
        screen.feed(" done\r\n" + step_line(400, 1000) + "\r\n")
        assert f"\n# writing done\n{step_line(400, 1000)}\n" in screen.text

    def test_advice_does_not_break_what_is_typed(self, screen: Screen) -> None:
        screen.feed("> los")
        screen.view.advise("look here")
        screen.feed("s")
        assert screen.text.splitlines() == ["> los", "hint: look here", "> loss"]

    def test_a_restart_is_marked(self, screen: Screen) -> None:
        screen.feed(STEPS)
        screen.feed(BOOT)
        assert screen.text.splitlines()[4:6] == ["──────── restart", BOOT.splitlines()[0][: screen.screen.columns]]

    def test_many_lines_are_drawn_in_few_frames(self, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
        drawn = []
        monkeypatch.setattr(screen.view, "_draw", drawn.append)
        for step in range(1, 1001):
            screen.feed(step_line(step, 1000) + "\r\n", seconds=0.001)
        assert len(drawn) <= 1 + 1.0 / views.FRAME_SECONDS

    def test_what_has_not_changed_is_not_drawn_again(self, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
        screen.feed(STEPS)
        written = []
        monkeypatch.setattr(screen.file, "write", written.append)
        screen.feed("", seconds=10)
        assert written == []
        screen.feed(step_line(400, 1000) + "\r\n")
        assert len(written) == 1, "at once, so that nothing flickers"

    def test_rows_that_a_narrower_terminal_breaks_go_away_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The emulator breaks no rows itself, so what a terminal makes of them stands on the screen instead."""
        screen = Screen(80, 24, monkeypatch)
        for line in STEPS.splitlines(keepends=True):
            screen.feed(line)
        rows = screen.display.training.rows(79)
        broken = [row[start : start + 40] for row in rows for start in range(0, len(row), 40)]
        assert len(broken) > len(rows)
        narrow = Screen(40, 24, monkeypatch)
        narrow.stream.feed("\r\n".join([*STEPS.splitlines(), *broken]))
        narrow.view, narrow.file = screen.view, screen.file
        screen.view._console.width = 40
        narrow.view.close()
        narrow._draw()
        assert narrow.text == STEPS.rstrip("\n")


class TestKeyboard:
    """Ctrl-] and Ctrl-T are the monitor's; everything else goes on as it came."""

    @pytest.mark.parametrize(
        ("typed", "meaning"),
        [
            (b"x", [b"x"]),
            (b"\x03", [b"\x03"]),
            ("é大".encode(), ["é大".encode()]),
            (b"\x1b[A", [b"\x1b[A"]),
            (b"ab\x1dcd", [b"ab", Command.LEAVE, b"cd"]),
            (b"\x14\x12y", [Command.RESET, b"y"]),
            (b"\x14\x1d\x14\x14", [b"\x1d", b"\x14"]),
            (b"\x14?x", [Command.HELP, b"x"]),
        ],
    )
    def test_keys(self, typed: bytes, meaning: list[object]) -> None:
        at_once, one_by_one = Keyboard(), Keyboard()
        assert list(at_once.read(typed)) == meaning
        singly = [item for key in typed for item in one_by_one.read(bytes([key]))]
        assert [item for item in singly if isinstance(item, Command)] == [
            item for item in meaning if isinstance(item, Command)
        ]
        assert b"".join(item for item in singly if isinstance(item, bytes)) == b"".join(
            item for item in meaning if isinstance(item, bytes)
        )


class TestTypeAhead:
    """Pasted lines go one by one, each at the prompt that follows the answer to the one before."""

    def at_prompt(self) -> TypeAhead:
        typed = TypeAhead()
        typed.at_prompt()
        return typed

    @pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
    def test_lines_wait_for_their_prompt(self, end: bytes) -> None:
        typed = self.at_prompt()
        assert typed.add(end.join([b"train", b"names 3", b"lo"])) == b"train" + end
        assert typed.at_prompt() == b"", "it is the old one: nothing has been answered"
        typed.answered()
        assert typed.at_prompt() == b"names 3" + end
        typed.answered()
        assert typed.add(b"ss\r") == b"", "in order"
        assert typed.at_prompt() == b"lo"
        assert typed.at_prompt() == b"ss\r"
        typed.answered()
        assert typed.at_prompt() == b""

    def test_single_keys_go_at_once(self) -> None:
        typed = self.at_prompt()
        assert [typed.add(bytes([key])) for key in b"x\ry"] == [b"x", b"\r", b"y"]

    def test_ctrl_c_drops_what_waits(self) -> None:
        typed = self.at_prompt()
        typed.add(b"train\rnames 3\r")
        assert typed.add(b"\x03") == keys.STOP
        typed.answered()
        assert typed.at_prompt() == b""

    def test_a_program_without_a_prompt_gets_everything(self) -> None:
        assert TypeAhead().add(b"a\rb\r") == b"a\rb\r"


def test_what_a_line_is() -> None:
    progress = Training()
    kinds = [
        progress.read(line, 0.0)
        for line in (step_line(1, 10), "sample  1: x", "ok", "# more names", "x", "# remark", "sample  2: y")
    ]
    assert kinds == [Kind.STEP, Kind.NAME, Kind.OTHER, Kind.OTHER, Kind.STREAMED, Kind.OTHER, Kind.NAME]
    assert progress.pause() == 1


def test_a_pipe_gets_lines_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(views.PlainView())
    show: Callable[[str], None] = lambda line: display.show(line, 0.0)  # noqa: E731
    for line in (STEPS + "\x1b[2Jx\n# more names\nann").splitlines():
        show(line)
    assert capsys.readouterr().out == STEPS + "␛[2Jx\n# more names\nann\n"
