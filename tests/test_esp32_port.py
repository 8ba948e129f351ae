"""A board on another machine, as far as a computer has one: an emulated ESP32 whose UART0 is a socket.

It is flashed through the loader in its ROM, and boots what was written. Skipped where no QEMU has the esp32 machine.
"""

import itertools
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import serial
from conftest import Completed, Programs
from mgbuild.device import advice, flash, monitor, transfer
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.firmware import image
from microgpt import Checkpoint, Learner, Text

FLASH_BYTES = 4 << 20
TIMEOUT = 120  # seconds; a run takes a few
SHORT = {"steps": 20, "samples": 3}
# The pins as BOOT held down leaves them; and a clock that runs with the instructions, so that the chip keeps up with
# its UART however busy this machine is.
IN_LOADER = ("-global", "driver=esp32.gpio,property=strap_mode,value=0x0f", "-icount", "shift=6")

Machine = Callable[..., AbstractContextManager[str]]
Hints = Callable[..., str]


@pytest.fixture
def machine(esp32_emulator: str) -> Machine:
    """Function that runs a chip with a file as its flash, and gives the URL of its console while it runs.

    It waits with its first instruction until somebody has opened the console.
    """

    @contextmanager
    def run(contents: Path, *flags: str) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            words = emulator.command_esp32(esp32_emulator, contents, "chardev:console", "-icount" in flags)
            console = f"socket,id=console,fd={listener.fileno()},server=on,wait=on"
            words += ["-chardev", console, *flags]
            with subprocess.Popen(words, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL) as process:
                try:
                    yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
                finally:
                    process.kill()

    return run


@pytest.fixture
def loader(machine: Machine) -> Machine:
    """Function that runs a chip as `machine` does, which is in its loader and ready for questions."""

    @contextmanager
    def run(contents: Path) -> Iterator[str]:
        with machine(contents, *IN_LOADER) as port:
            with serial.serial_for_url(port, timeout=TIMEOUT) as console:
                assert b"UART_BOOT" in console.read_until(b"(UART_BOOT(UART0))")
            yield port

    return run


@pytest.fixture
def contents(tmp_path: Path) -> Path:
    """A flash with nothing in it."""
    path = tmp_path / "flash.bin"
    path.write_bytes(b"\xff" * FLASH_BYTES)
    return path


def built(programs: Programs, **options: object) -> list[flash.Part]:
    folder = programs.esp32(**options)
    layout = image.flash_layout(folder / "firmware.elf")
    return [
        flash.Part("firmware", layout.firmware, folder / "firmware.bin"),
        flash.Part("data set", layout.dataset, folder / "dataset.bin"),
    ]


def test_what_the_loader_wrote_boots_and_learns_the_names_of_the_host(
    machine: Machine,
    loader: Machine,
    contents: Path,
    programs: Programs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts, log = built(programs, **SHORT), tmp_path / "run.log"
    with loader(contents) as port:
        flash.write(parts, port, 460800, FLASH_BYTES)
        assert flash.NOT_STARTED in capsys.readouterr().out
    for part in parts:
        data = part.path.read_bytes()
        assert contents.read_bytes()[part.offset : part.offset + len(data)] == data
    with machine(contents) as port:
        assert monitor.monitor(port, until=re.compile("^weights crc32"), timeout=TIMEOUT, log=log, terminal=False) == 0
    output = "".join(line for line in log.read_text().splitlines(keepends=True) if not line.startswith("# "))
    assert programs.run_host(**SHORT).stdout in output


def test_scons_takes_the_url_for_flash_dataset_alone_and_erase(
    loader: Machine, contents: Path, programs: Programs, scons: Callable[..., Completed], tmp_path: Path
) -> None:
    """One after the other, with a chip that nothing resets between them."""
    text, build = tmp_path / "few.txt", f"build={tmp_path / 'out'}"
    text.write_text("abcdefghijklm\nnopqrstuvwxyz\n")
    (firmware, _) = built(programs, **SHORT)
    flashed = firmware.path.read_bytes()
    contents.write_bytes(contents.read_bytes()[: firmware.offset] + flashed + bytes(FLASH_BYTES))
    with contents.open("r+b") as file:
        file.truncate(FLASH_BYTES)
    with loader(contents) as port:
        result = scons("flash-dataset", f"dataset={text}", f"port={port}", build)
        assert result.returncode == 0, result.stderr
        packed = (tmp_path / "out/dataset.bin").read_bytes()
        written = contents.read_bytes()
        assert written[0x80000 : 0x80000 + len(packed)] == packed
        assert written[firmware.offset : firmware.offset + len(flashed)] == flashed
        result = scons("erase", f"port={port}", build)
        assert result.returncode == 0, result.stderr
    assert contents.read_bytes() == b"\xff" * FLASH_BYTES


class TestHints:
    """The ROM says what is wrong in its words, or says nothing at all after its first line: the monitor explains it."""

    @pytest.fixture
    def hints(self, machine: Machine, contents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Hints:
        """Function that boots the flash and returns the monitor's hints.

        The monitor's clock stands until the ROM's last words, and then runs for as long as the program may be silent.
        """

        def boot(last_words: str, *flags: str) -> str:
            log, seconds = tmp_path / "console.log", itertools.count(0.0, 1.0)
            limit = time.monotonic() + TIMEOUT

            def clock() -> float:
                assert time.monotonic() < limit, log.read_text()
                return next(seconds) if re.search(last_words, log.read_text(), re.MULTILINE) else 0.0

            with machine(contents, *flags) as port:
                monitor.monitor(port, timeout=2 * advice.START_SECONDS, log=log, terminal=False, clock=clock)
            return capsys.readouterr().err

        return boot

    @pytest.mark.parametrize(
        ("at", "replacement", "last_words"),
        [(2000, None, "^csum err:"), (0, b"\x12", "^rst:0x1 "), (4, b"\0\0\0\x40", r"^Fatal exception \(")],
        ids=["checksum", "header", "entry"],
    )
    def test_a_damaged_firmware(
        self, at: int, replacement: bytes | None, last_words: str, hints: Hints, contents: Path, programs: Programs
    ) -> None:
        (firmware, _) = built(programs, **SHORT)
        data = bytearray(firmware.path.read_bytes())
        replacement = replacement or bytes([data[at] ^ 1])
        data[at : at + len(replacement)] = replacement
        with contents.open("r+b") as file:
            file.seek(firmware.offset)
            file.write(data)
        assert hints(last_words) == f"hint: {advice.DAMAGED}\n"

    def test_an_empty_flash(self, hints: Hints) -> None:
        assert hints("^rst:0x1 ") == f"hint: {advice.DAMAGED}\n"

    def test_a_chip_in_its_loader(self, hints: Hints) -> None:
        assert hints(r"^rst:0x1 .*UART_BOOT", *IN_LOADER) == f"hint: {advice.IN_LOADER}\n"


def test_a_firmware_in_the_loaders_place_is_refused(machine: Machine, contents: Path, programs: Programs) -> None:
    """A board that runs its program, and has no reset line, does not answer the loader's questions."""
    folder = programs.esp32(**SHORT)
    contents.write_bytes((folder / "factory.bin").read_bytes())
    with (
        machine(contents) as port,
        pytest.raises(UserError, match=f"the chip on {port} does not answer; hold its BOOT"),
    ):
        flash.write(built(programs, **SHORT), port, 460800, FLASH_BYTES)


def test_training_stops_for_a_command_and_goes_on_to_the_same_weights(
    machine: Machine, contents: Path, programs: Programs
) -> None:
    contents.write_bytes((programs.esp32() / "factory.bin").read_bytes())
    with machine(contents) as port, serial.serial_for_url(port, timeout=TIMEOUT) as console:

        def up_to(start: bytes) -> bytes:
            while not (line := console.readline()).startswith(start):
                assert line, f"no line begins with {start!r}"
            return line

        up_to(b"step    1 ")
        console.write(b"info\r")
        reached = int(up_to(b"training: seed 42, step ").split()[4])
        assert 1 <= reached < 1000
        up_to(b"ok")
        console.write(b"train\r")
        assert up_to(b"step 1000 ").endswith(b"loss 2.6497\r\n")
        up_to(b"ok")
        console.write(b"info\r")
        assert up_to(b"training: ").rstrip() == b"training: seed 42, step 1000 of 1000, weights crc32 e5240774"


# ---- Checkpoints ----------------------------------------------------------------------------------------------------

LONG = {"n_embd": 8, "n_head": 2, "steps": 6000, "samples": 2, "log_every": 1000}


def test_a_checkpoint_pulled_from_a_chip_in_training_goes_on_here_and_the_chip_is_not_disturbed(
    machine: Machine, contents: Path, programs: Programs, tmp_path: Path
) -> None:
    contents.write_bytes((programs.esp32(**LONG) / "factory.bin").read_bytes())
    expected = programs.run_host(**LONG).stdout.splitlines()[-3:]
    pulled, log = tmp_path / "run.ckpt", tmp_path / "run.log"
    with machine(contents) as port:
        transfer.pull(port, 115200, pulled)
        kept = Checkpoint.open(pulled)
        assert 0 < kept["step"] < LONG["steps"]
        assert monitor.monitor(port, until=re.compile("^weights crc32"), timeout=TIMEOUT, log=log, terminal=False) == 0
    assert expected[-1] in log.read_text().splitlines()
    done = subprocess.run([programs.host(**LONG), f"resume={pulled}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-3:] == expected


def test_a_checkpoint_pushed_into_a_chip_is_gone_on_from(
    machine: Machine, loader: Machine, contents: Path, programs: Programs, tmp_path: Path
) -> None:
    """One that was learned here, into a slot of its own: that of the older one, twice."""
    chosen = {"n_embd": 8, "n_head": 2, "steps": 300, "samples": 3}
    contents.write_bytes((programs.esp32(**chosen) / "factory.bin").read_bytes())
    expected = programs.run_host(**chosen).stdout.splitlines()[-4:]
    model = {name: value for name, value in chosen.items() if name != "samples"}
    learner = Learner(Text.open("data/names.txt"), path=programs.library(), **model)
    for steps in (100, 150):
        learner.train(steps)
        learner.checkpoint().write(tmp_path / "run.ckpt")
        with loader(contents) as port:
            transfer.push(tmp_path / "run.ckpt", port, 460800, programs.library())
    log = tmp_path / "run.log"
    with machine(contents) as port:
        assert monitor.monitor(port, until=re.compile("^weights crc32"), timeout=TIMEOUT, log=log, terminal=False) == 0
    lines = log.read_text().splitlines()
    assert "# checkpoint: step 250 of 300" in lines
    assert expected[-1] in lines


def test_what_the_board_cannot_go_on_from_is_not_pushed(
    loader: Machine, contents: Path, programs: Programs, tmp_path: Path
) -> None:
    before = (programs.esp32(**SHORT) / "factory.bin").read_bytes()
    contents.write_bytes(before)
    other = Learner(Text.of(["abba", "baab"]), path=programs.library(), steps=3)
    large = Learner(Text.open("data/names.txt"), path=programs.library(), n_embd=64, n_layer=2, steps=3)
    huge = Learner(Text.open("data/names.txt"), path=programs.library(), n_embd=120, n_head=4, n_layer=6, steps=3)
    for learner, alone, sentence in (
        (other, False, "of another text than the board's"),
        (other, True, "of a text with other characters than the board's"),
        (large, False, "model does not fit: memory lacks"),
        (huge, True, "bytes, and between text and slots this board has"),
    ):
        learner.checkpoint(weights_alone=alone).write(tmp_path / "run.ckpt")
        with loader(contents) as port, pytest.raises(UserError, match=sentence):
            transfer.push(tmp_path / "run.ckpt", port, 460800, programs.library())
    (tmp_path / "run.ckpt").write_bytes(b"MGCP" + bytes(300))
    with pytest.raises(UserError, match="header is damaged"):
        transfer.push(tmp_path / "run.ckpt", "socket://nowhere:1", 460800, programs.library())
    assert contents.read_bytes() == before


def test_weights_too_large_for_a_slot_go_behind_the_text_and_the_slots_stay(
    loader: Machine,
    machine: Machine,
    contents: Path,
    programs: Programs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen, words = {**SHORT, "cores": 1}, tmp_path / "big.ckpt"
    folder = programs.esp32(**chosen)
    contents.write_bytes((folder / "factory.bin").read_bytes())
    names = Text.open("data/names.txt")
    model = Learner(names, path=programs.library(), n_embd=64, n_layer=2, steps=3)  # somewhat larger than a slot
    Checkpoint.of_weights(model.weights, names.characters, 4).write(words)
    before = contents.read_bytes()
    with loader(contents) as port:
        transfer.push(words, port, 460800, programs.library())
    assert "tokens a second, 99% of the time for reading flash, not measured" in capsys.readouterr().out
    layout, after = image.flash_layout(folder / "firmware.elf"), contents.read_bytes()
    start = -(-(layout.dataset + len(names.image)) // 4096) * 4096
    assert after[start + 256 : start + words.stat().st_size] == words.read_bytes()[256:]
    assert (after[:start], after[layout.dataset_end :]) == (before[:start], before[layout.dataset_end :])
    log = tmp_path / "run.log"
    with machine(contents) as port:
        assert monitor.monitor(port, until=re.compile("^weights crc32"), timeout=TIMEOUT, log=log, terminal=False) == 0
    done = subprocess.run([programs.host(**chosen), f"resume={words}"], capture_output=True, text=True, check=True)
    told = [line for line in done.stdout.splitlines() if line.startswith(("sample", "weights"))]
    assert [line for line in log.read_text().splitlines() if line.startswith(("sample", "weights"))] == told
    with machine(contents) as port:
        transfer.pull(port, 115200, tmp_path / "back.ckpt")
    assert Checkpoint.open(tmp_path / "back.ckpt").data[256:] == words.read_bytes()[256:]


def test_a_board_that_has_no_such_firmware_is_told_after_a_while(
    machine: Machine, contents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "SILENCE_SECONDS", 1.0)
    with (
        machine(contents) as port,
        pytest.raises(UserError, match="no checkpoint comes from socket://.*: is this firm"),
    ):
        transfer.pull(port, 115200, tmp_path / "run.ckpt")
    assert not (tmp_path / "run.ckpt").exists()
