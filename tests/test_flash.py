"""Flashing, through esptool's own protocol, to a stand-in chip: on a pseudo-terminal, a socket and a server's port."""

import re
import shlex
import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pytest
import serial
import stand_in_chip
from conftest import Completed, OnceOpened, Programs
from mgbuild.device import flash, ports
from mgbuild.errors import UserError
from mgbuild.plan import dataset
from stand_in_chip import ESP32S2_MAGIC, SYNC, StandInChip

FLASH_BYTES = 4 << 20


@pytest.fixture
def parts(tmp_path: Path) -> list[flash.Part]:
    """A firmware of an odd size and a data set of several blocks that do not compress."""
    firmware, dataset = tmp_path / "firmware.bin", tmp_path / "dataset.bin"
    firmware.write_bytes(b"\xe9" + bytes(range(256)) * 100 + b"end")
    dataset.write_bytes(bytes(i * i * 7 % 251 ^ i >> 8 & 0xFF for i in range(50_000)))
    return [flash.Part("firmware", 0x1000, firmware), flash.Part("data set", 0x80000, dataset)]


def refusal(parts: list[flash.Part], chip: StandInChip) -> str:
    with pytest.raises(UserError) as caught:
        flash.write(parts, chip.port, 460800, FLASH_BYTES)
    return str(caught.value)


WIRES = ("pty", "tcp", "rfc2217")


def is_in_flash(chip: StandInChip, part: flash.Part) -> bool:
    data = part.path.read_bytes()
    return chip.flash[part.offset : part.offset + len(data)] == data


def sessions(chip: StandInChip) -> int:
    """How often the loader was looked for: runs of SYNC among its commands."""
    return [command for command, _ in groupby(chip.commands)].count(SYNC)


@pytest.mark.parametrize("wire", WIRES)
def test_both_parts_are_written_where_they_belong(
    wire: str, parts: list[flash.Part], capsys: pytest.CaptureFixture[str]
) -> None:
    with StandInChip(wire) as chip:
        flash.write(parts, chip.port, 460800, FLASH_BYTES)
        assert all(is_in_flash(chip, part) for part in parts)
        assert [offset for offset, _ in chip.writes] == [0x1000, 0x80000]
        assert chip.flash[:0x1000] == b"\x5a" * 0x1000, "wrote outside the parts"
    assert flash.command(parts, chip.port, 460800) in capsys.readouterr().out


def test_the_program_starts_where_the_port_has_a_reset_line(
    parts: list[flash.Part], capsys: pytest.CaptureFixture[str]
) -> None:
    with StandInChip("rfc2217", console=b"") as chip:  # resets the running program into the loader, and back
        flash.write(parts, chip.port, 460800, FLASH_BYTES)
        assert chip.starts == 1
    assert capsys.readouterr().out.endswith("done: the program starts\n")


@pytest.mark.parametrize("wire", ["pty", "tcp"])
def test_without_a_reset_line_it_is_said_what_to_press(
    wire: str, parts: list[flash.Part], capsys: pytest.CaptureFixture[str]
) -> None:
    with StandInChip(wire) as chip:
        flash.write(parts, chip.port, 460800, FLASH_BYTES)
    output = capsys.readouterr().out
    assert "the program starts" not in output
    assert "done: now press EN (RST) on the board to start the program" in output


@pytest.mark.parametrize("wire", ["pty", "tcp"])
def test_without_a_reset_line_commands_follow_each_other_with_nothing_to_press(
    wire: str, parts: list[flash.Part], tmp_path: Path
) -> None:
    """Each leaves the chip at the rate at which the next one looks for it."""
    with StandInChip(wire) as chip:
        flash.write(parts, chip.port, 460800, FLASH_BYTES)
        parts[0].path.write_bytes(b"another")
        flash.write(parts, chip.port, 460800, FLASH_BYTES)
        flash.erase(chip.port, 460800)
        assert chip.erased
        flash.write(parts, chip.port, 921600, FLASH_BYTES)
        assert all(is_in_flash(chip, part) for part in parts)


def test_what_is_in_flash_already_is_not_written_again(
    parts: list[flash.Part], capsys: pytest.CaptureFixture[str]
) -> None:
    with StandInChip() as chip:
        data = parts[1].path.read_bytes()
        chip.flash[0x80000 : 0x80000 + len(data)] = data
        flash.write(parts, chip.port, 460800, FLASH_BYTES)
        assert [offset for offset, _ in chip.writes] == [0x1000]
    assert "data set: unchanged" in capsys.readouterr().out


def test_the_command_to_type_by_hand(parts: list[flash.Part]) -> None:
    words = shlex.split(flash.command(parts, "/dev/ttyUSB0", 460800))
    assert words == [
        *("esptool", "--chip", "esp32", "--port", "/dev/ttyUSB0", "--baud", "460800", "write-flash"),
        *("0x1000", str(parts[0].path), "0x80000", str(parts[1].path)),
    ]


def test_erase(capsys: pytest.CaptureFixture[str]) -> None:
    with StandInChip() as chip:
        flash.erase(chip.port, 460800)
        assert chip.erased
    assert "the flash is empty" in capsys.readouterr().out


def test_scons_flash_builds_what_it_writes(scons: Callable[..., Completed], programs: Programs) -> None:
    with StandInChip() as chip, programs.build_folder() as build:
        result = scons("flash", f"port={chip.port}", "steps=7", f"build={build}")
        assert result.returncode == 0, result.stderr
        for name, offset in (("firmware.bin", 0x1000), ("dataset.bin", 0x80000)):
            data = (build / "esp32" / name).read_bytes()
            assert chip.flash[offset : offset + len(data)] == data


def test_scons_flash_dataset_leaves_the_firmware_alone(
    scons: Callable[..., Completed], programs: Programs, tmp_path: Path
) -> None:
    text = tmp_path / "few.txt"
    text.write_text("abcdefghijklm\nnopqrstuvwxyz\n")
    with StandInChip() as chip:
        image = (programs.esp32() / "firmware.bin").read_bytes()
        chip.flash[0x1000 : 0x1000 + len(image)] = image
        words = (f"dataset={text}", f"port={chip.port}", f"build={tmp_path / 'out'}")
        result = scons("flash-dataset", *words)
        assert result.returncode == 0, result.stderr
        assert [offset for offset, _ in chip.writes] == [0x80000]
    assert not (tmp_path / "out/esp32").exists(), "no firmware is built"


@pytest.fixture(scope="module")
def library(programs: Programs) -> Path:
    return programs.library()


class TestDataSetAlone:
    """`scons flash-dataset`: only what the firmware on the board can read is written, and only there."""

    @pytest.fixture
    def chip(self, programs: Programs) -> Iterator[StandInChip]:
        """A board with the default firmware."""
        with StandInChip() as chip:
            image = (programs.esp32() / "firmware.bin").read_bytes()
            chip.flash[0x1000 : 0x1000 + len(image)] = image
            yield chip

    @staticmethod
    def packed(folder: Path, lines: Sequence[str]) -> Path:
        text, image = folder / "names.txt", folder / "dataset.bin"
        text.write_text("\n".join(lines))
        image.write_bytes(dataset.pack(text))
        return image

    def test_fewer_documents_in_the_same_alphabet(self, chip: StandInChip, library: Path, tmp_path: Path) -> None:
        path = self.packed(tmp_path, ["abcdefghijklm", "nopqrstuvwxyz", "abba"])
        flash.write_dataset(path, chip.port, 460800, library)
        assert is_in_flash(chip, flash.Part("data set", 0x80000, path))
        assert [offset for offset, _ in chip.writes] == [0x80000]

    def test_one_session_with_the_loader_each_time(self, chip: StandInChip, library: Path, tmp_path: Path) -> None:
        """Without a reset line a second one meets a chip in another state, at another rate."""
        texts = ["abcdefghijklm", "nopqrstuvwxyz"]
        for number in range(1, 7):
            texts.append("a" * number)
            path = self.packed(tmp_path, texts)
            flash.write_dataset(path, chip.port, 460800, library)
            assert is_in_flash(chip, flash.Part("data set", 0x80000, path))
            assert sessions(chip) == number

    def test_after_a_refusal_the_board_goes_on_with_what_it_has(self, library: Path, tmp_path: Path) -> None:
        with StandInChip("rfc2217", console=b"") as chip:
            with pytest.raises(UserError, match="no firmware of this project"):
                flash.write_dataset(self.packed(tmp_path, ["abc"]), chip.port, 460800, library)
            assert chip.starts == 1
            assert not chip.writes

    @pytest.mark.parametrize(
        "lines", [["łódź"], ["".join(map(chr, range(0x4E00, 0x4E00 + 255)))], ["a"] * 65535], ids=["few", "255", "many"]
    )
    def test_any_text_that_the_default_settings_have_room_for(
        self, chip: StandInChip, library: Path, tmp_path: Path, lines: Sequence[str]
    ) -> None:
        path = self.packed(tmp_path, lines)
        flash.write_dataset(path, chip.port, 460800, library)
        assert is_in_flash(chip, flash.Part("data set", 0x80000, path))

    def test_a_text_that_does_not_fit_is_refused_with_what_would(
        self, programs: Programs, library: Path, tmp_path: Path
    ) -> None:
        """A firmware that starts with a large model has room for it on the names, not on a text of 255 characters."""
        image = (programs.esp32(n_embd=40) / "firmware.bin").read_bytes()
        path = self.packed(tmp_path, ["".join(map(chr, range(0x4E00, 0x4E00 + 255)))])
        with StandInChip() as chip:
            chip.flash[0x1000 : 0x1000 + len(image)] = image
            with pytest.raises(UserError) as caught:
                flash.write_dataset(path, chip.port, 460800, library)
            assert not chip.writes
        sentence = str(caught.value)
        assert "starts with n_embd=40 n_head=4 n_layer=1 block_size=16 steps=1000: memory lacks" in sentence
        assert re.search(r"it would fit with n_embd=\d+.*; build and write both: scons flash dataset=", sentence)

    def test_a_board_without_this_firmware(self, library: Path, tmp_path: Path) -> None:
        path = self.packed(tmp_path, ["abc"])
        with StandInChip() as chip:
            with pytest.raises(UserError, match="no firmware of this project on the board"):
                flash.write_dataset(path, chip.port, 460800, library)
            assert not chip.writes


def test_a_silent_chip(parts: list[flash.Part], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash, "CONNECT_ATTEMPTS", 1)
    with StandInChip(silent=True) as chip:
        assert "does not answer; hold its BOOT button down" in refusal(parts, chip)


def test_another_chip_is_refused_before_anything_is_written(parts: list[flash.Part]) -> None:
    with StandInChip(magic=ESP32S2_MAGIC) as chip:
        assert "this firmware is for the ESP32 alone" in refusal(parts, chip)
        assert not chip.writes


def test_a_chip_that_nobody_knows_is_refused(parts: list[flash.Part]) -> None:
    with StandInChip(magic=0x12345678) as chip:
        assert "is none that esptool knows" in refusal(parts, chip)


def test_smaller_flash_is_refused_before_anything_is_written(parts: list[flash.Part]) -> None:
    with StandInChip(megabytes=2) as chip:
        assert "the board's flash is 2 MB and the image needs 4 MB" in refusal(parts, chip)
        assert not chip.writes


def test_unplugged_while_writing_names_what_is_half_written(parts: list[flash.Part]) -> None:
    with StandInChip(unplug_after_blocks=4) as chip:
        message = refusal(parts, chip)
    assert "data set may be half-written" in message
    assert "plug it in and run the same command" in message


STAGES = ("SYNC", "SECURITY_INFO", "READ_REG", "MEM_BEGIN", "MEM_DATA", "MEM_END", "CHANGE_BAUD", "WRITE_REG", "MD5")
WRITING = ("DEFL_BEGIN", "DEFL_DATA", "DEFL_END")


@pytest.mark.parametrize("before_answer", [True, False], ids=["unanswered", "answered"])
@pytest.mark.parametrize("stage", STAGES + WRITING)
def test_unplugged_at_any_stage_is_a_sentence(stage: str, before_answer: bool, parts: list[flash.Part]) -> None:
    command = getattr(stand_in_chip, stage)
    with StandInChip(unplug_on=command, unplug_before_answer=before_answer) as chip:
        message = refusal(parts[:1], chip)
        assert command in chip.commands
    assert message.startswith(f"lost the board on {chip.port} (")
    half = "firmware may be half-written" in message
    assert half if stage in WRITING else not half or stage == "MD5"  # its answer may or may not be read in time


@pytest.mark.parametrize("wire", WIRES)
def test_unplugged_before_the_first_word_is_a_sentence(
    wire: str, parts: list[flash.Part], once_opened: OnceOpened
) -> None:
    with StandInChip(wire) as chip:
        once_opened(chip.unplug)
        assert refusal(parts, chip).startswith(
            (f"lost the board on {chip.port} (", f"the chip on {chip.port} does not")
        )


def test_unplugged_before_the_program_starts(parts: list[flash.Part], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tcflush that fails then, with what is no OSError."""
    write_flash = flash.cmds.write_flash
    with StandInChip() as chip:
        monkeypatch.setattr(flash.cmds, "write_flash", lambda *words: (write_flash(*words), chip.unplug()))
        with pytest.raises(UserError, match=f"lost the board on {chip.port} .*Input/output error.*: plug it in"):
            flash.write(parts[:1], chip.port, flash.ROM_BAUD, FLASH_BYTES)


@pytest.mark.parametrize("wire", ["tcp", "rfc2217"])
@pytest.mark.parametrize("stage", ["SYNC", "MEM_DATA", "DEFL_DATA"])
def test_a_server_that_goes_away_is_a_sentence(stage: str, wire: str, parts: list[flash.Part]) -> None:
    with StandInChip(wire, unplug_on=getattr(stand_in_chip, stage)) as chip:
        message = refusal(parts[:1], chip)
    assert message.startswith((f"lost the board on {chip.port} (", f"the chip on {chip.port} does not answer"))


def test_unplugged_while_the_firmware_is_read(library: Path, tmp_path: Path) -> None:
    with StandInChip(unplug_on=stand_in_chip.READ_FLASH) as chip:
        with pytest.raises(UserError, match=f"lost the board on {chip.port}"):
            flash.write_dataset(TestDataSetAlone.packed(tmp_path, ["abc"]), chip.port, 460800, library)


def test_unplugged_while_the_flash_is_erased() -> None:
    with StandInChip(unplug_on=stand_in_chip.ERASE_FLASH) as chip:
        with pytest.raises(UserError, match=f"lost the board on {chip.port}"):
            flash.erase(chip.port, 460800)


def test_a_damaged_byte_is_noticed(parts: list[flash.Part]) -> None:
    with StandInChip(damage_block=3) as chip:
        message = refusal(parts, chip)
    assert "what is in flash for data set is not what was sent" in message


def test_a_missing_file_is_named_before_the_port_is_opened(parts: list[flash.Part]) -> None:
    parts[1].path.unlink()
    with pytest.raises(UserError, match=r"cannot read .*dataset.bin"):
        flash.write(parts, "/dev/no-such-port", 460800, FLASH_BYTES)


def test_a_port_that_does_not_exist(parts: list[flash.Part]) -> None:
    with pytest.raises(UserError, match="there is no port /dev/no-such-port"):
        flash.write(parts, "/dev/no-such-port", 460800, FLASH_BYTES)


class Port:
    """What pyserial tells of one port."""

    def __init__(self, device: str, vid: int | None, pid: int | None) -> None:
        self.device, self.vid, self.pid, self.description = device, vid, pid, f"about {device}"


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> list[Port]:
    """The ports of a machine, to be filled in by the test."""
    found: list[Port] = []
    monkeypatch.setattr(ports.list_ports, "comports", lambda: found)
    return found


class TestPort:
    """Which port is taken: the named one, else ESPPORT, else the only board there is."""

    def test_a_named_port_is_taken_as_it_is(self, present: list[Port]) -> None:
        assert ports.find("/dev/ttyX", {"ESPPORT": "/dev/ttyY"}) == "/dev/ttyX"
        assert ports.find("", {"ESPPORT": "/dev/ttyY"}) == "/dev/ttyY"

    def test_the_only_board_is_found_among_other_devices(self, present: list[Port]) -> None:
        present += [Port("/dev/ttyS0", None, None), Port("/dev/ttyACM0", 0x2341, 0x43)]
        present.append(Port("/dev/ttyUSB3", 0x10C4, 0xEA60))
        assert ports.find("", {}) == "/dev/ttyUSB3"

    def test_two_boards_are_listed(self, present: list[Port]) -> None:
        present += [Port("/dev/ttyUSB1", 0x1A86, 0x7523), Port("/dev/ttyUSB0", 0x10C4, 0xEA60)]
        with pytest.raises(UserError) as caught:
            ports.find("", {})
        message = str(caught.value)
        assert message.startswith("2 boards are connected:\n  /dev/ttyUSB0  CP210x, ")
        assert "\n  /dev/ttyUSB1  CH340, " in message
        assert "port=" in message and "export ESPPORT=/dev/ttyUSB0" in message

    def test_no_board(self, present: list[Port]) -> None:
        present.append(Port("/dev/ttyS0", None, None))
        with pytest.raises(UserError, match=r"no serial port of an ESP32 board found; .*other ports here: /dev/ttyS0"):
            ports.find("", {})


def test_a_port_that_another_program_holds(parts: list[flash.Part]) -> None:
    with StandInChip() as chip, serial.Serial(chip.port, exclusive=True):
        assert f"{chip.port} is in use by another program" in refusal(parts, chip)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(2, "No such file or directory"), "there is no port P"),
        (OSError(13, "Permission denied"), "usermod -a -G dialout"),
        (OSError(16, "Device or resource busy"), "P is in use by another program"),
        (OSError(11, "Could not exclusively lock port P"), "P is in use by another program"),
        (OSError(5, "Input/output error"), r"cannot open P: .*Input/output error"),
    ],
)
def test_why_a_port_does_not_open(error: OSError, words: str) -> None:
    assert re.search(words, str(ports.open_failure("P", error)))


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("socket://127.0.0.1:{closed}", r"Connection refused.*a server or emulator must be running there"),
        ("rfc2217://127.0.0.1:{closed}", r"Connection refused.*a server or emulator must be running there"),
        ("socket://127.0.0.1", "the number after HOST: is missing; a board elsewhere is socket://HOST:NUMBER"),
        ("rfc2217://127.0.0.1:http", "a board elsewhere is socket://HOST:NUMBER or rfc2217://HOST:NUMBER"),
        ("telnet://127.0.0.1:23", "protocol 'telnet' not known; a board elsewhere is socket://HOST:NUMBER"),
    ],
)
def test_a_port_elsewhere_that_does_not_open(port: str, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    with pytest.raises(UserError, match=f"^cannot open {port.format(closed=closed)}: .*{words}"):
        ports.opened(port.format(closed=closed), 115200)


def test_a_port_that_is_no_board_does_not_answer(parts: list[flash.Part], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash, "CONNECT_ATTEMPTS", 1)
    with pytest.raises(UserError, match="the chip on loop:// does not answer"):
        flash.write(parts, "loop://", 460800, FLASH_BYTES)
