"""A board on the page, in a real browser: its port leads to an emulated core's console or to the stand-in chip."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, Programs
from mgbuild import page_server
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.plan import configure, dataset
from page_driver import READY, Page
from selenium import webdriver
from selenium.webdriver.common.keys import Keys
from stand_in_chip import ESP32S2_MAGIC, StandInChip
from stand_in_console import StandInConsole
from stand_in_serial import PacedWire, PortWire, ProcessWire, Wire, served
from test_esp32_port import IN_LOADER

WEB_SERIAL = (ROOT / "tests/page/web_serial.js").read_text()
VERSION = f"microgpt-lx6 {configure.version(ROOT).name}"
WITHOUT = "delete Navigator.prototype.serial"

# What the page says meanwhile.
NOTE_STATUS = """
window.noted = [];
const status = document.getElementById("board-status");
new MutationObserver(() => noted.push(status.textContent)).observe(status, { childList: true });
"""

OpenPage = Callable[..., AbstractContextManager[Page]]


@pytest.fixture
def open_page(chromium: webdriver.Chrome, page_folder: Path) -> OpenPage:
    """Function that opens the page, to a board on a wire; when it is left nothing must be on the browser's console."""

    @contextmanager
    def opened(wire: Wire, script: str = WEB_SERIAL) -> Iterator[Page]:
        added = chromium.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        try:
            with served(page_folder, wire) as server:
                page = Page(chromium, page_server.address(server))
                page.look_like(1280, 800)
                page.open()
                yield page
                chromium.get("about:blank")
                assert page.messages() == []
        finally:
            chromium.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    return opened


@pytest.fixture
def core(programs: Programs) -> Iterator[ProcessWire]:
    """An emulated core that runs the program on the names."""
    try:
        emulator.find()
    except UserError as error:
        pytest.skip(str(error))
    wire = ProcessWire(emulator.command(emulator.find(), *programs.sim(console="yes")))
    yield wire
    wire.close()


def connect(page: Page) -> None:
    page.wait(page["connect"].is_displayed)  # whatever ended a moment ago
    page["connect"].click()
    page.wait(lambda: page.text("board-status").startswith("Connected: microgpt-lx6 "))


def test_a_board_trains_to_the_checksum_of_this_browser(open_page: OpenPage, core: ProcessWire) -> None:
    with open_page(core) as page:
        connect(page)
        assert page.text("where") == "Runs on: the board"
        page.train()
        assert page.text("checksum") == "e5240774"
        expected = (
            "Equal: at step 1,000 of 1,000 the board and this browser have the same weights, bit for bit: e5240774."
        )
        page.wait(lambda: page.text("verdict") == expected)
        page.fill("prompt", "ma")
        page.wait(lambda: page.text("next").split("\n")[:4] == ["r", "16.8 %", "n", "12.6 %"])
        page["prompt"].send_keys(Keys.ENTER)
        page.wait(lambda: len(page.text("completions").split(", ")) == 10)
        assert all(name.startswith("ma") for name in page.text("completions").split(", "))
        page.take_picture("board")


def test_an_emulated_esp32_trains_other_settings_to_the_same(
    open_page: OpenPage, programs: Programs, esp32_emulator: str, tmp_path: Path
) -> None:
    flash = Path(shutil.copy(programs.esp32() / "factory.bin", tmp_path))
    chosen = {"seed": 99, "n_embd": 20, "n_head": 5, "n_layer": 2, "block_size": 11, "steps": 150, "lr": 0.02}
    with open_page(ProcessWire(emulator.command_esp32(esp32_emulator, flash, "stdio"))) as page:
        connect(page)  # stops the run that it had begun
        assert page.text("train") == "Go on"
        page.fill("n_embd", "200")
        page["again"].click()
        page.wait(lambda: "bytes" in page.text("failure"))  # the chip's own refusal
        page.train("again", **chosen)
        assert f"weights crc32: {page.text('checksum')}" == programs.run_host(**chosen).stdout.splitlines()[-1]
        page.wait(lambda: page.text("verdict").startswith("Equal: at step 150 of 150 "))
        page["teach"].click()
        page["teach"].send_keys(Keys.ENTER)
        page.wait(lambda: page.text("taught").startswith("Its surprise at “zoe” was "))
        page["compare"].click()
        page.wait(lambda: page.text("verdict").startswith("Not equal: "))


# ---- Installing -----------------------------------------------------------------------------------------------------


@contextmanager
def board(open_page: OpenPage, version: str = "", **chip: object) -> Iterator[tuple[Page, StandInChip, PortWire]]:
    """The page, and a board on its port whose program answers as one of this version."""
    with StandInChip("rfc2217", console=b"", **chip) as found, StandInConsole(found, version=version or VERSION):
        wire = PortWire(found.port)
        with open_page(wire) as page:
            yield page, found, wire


def install(page: Page) -> None:
    page["install"].click()
    page.wait(lambda: page.text("board-status").startswith("Installed"))


def refused(page: Page, button: str, said: str) -> None:
    """Press a button; the page says why not, and is this browser's, ready for the next attempt."""
    page[button].click()
    page.wait(lambda: said in page.text("board-failure"))
    page.wait(lambda: page["install"].is_enabled() or not page["install"].is_displayed())
    assert not page["written"].is_displayed()


def test_an_installed_board_has_the_bytes_of_factory_bin(open_page: OpenPage, programs: Programs) -> None:
    factory = (programs.esp32() / "factory.bin").read_bytes()
    with board(open_page) as (page, chip, _):
        connect(page)
        page.driver.execute_script(NOTE_STATUS)
        install(page)
        assert chip.flash == factory
        noted = page.driver.execute_script("return noted")
        assert {"Asking the chip…", "Looking at the firmware…", "Writing the names: 100 %", "It starts…"} <= set(noted)
        assert chip.starts > 0
        assert page.text("where") == "Runs on: the board"
        written = len(chip.writes)
        install(page)  # what is there already is not written again
        assert len(chip.writes) == written


def test_checkpoints_stay_unless_they_are_to_go(open_page: OpenPage, page_folder: Path, programs: Programs) -> None:
    slots = json.loads((page_folder / "chip.json").read_text())["flash"]["slots"]
    with board(open_page) as (page, chip, _):
        chip.flash[slots[1] : slots[1] + 4] = (0x5043474D).to_bytes(4, "little")  # CHECKPOINT_MAGIC
        kept = bytes(chip.flash[slots[0] :])
        connect(page)
        install(page)
        assert chip.flash[slots[0] :] == kept
        page["forget"].click()
        install(page)
        assert chip.flash == (programs.esp32() / "factory.bin").read_bytes()


@pytest.mark.parametrize(
    ("chip", "said"),
    [
        ({"magic": ESP32S2_MAGIC}, "This chip is an ESP32-S2, and the program is for the ESP32: nothing was written."),
        ({"magic": 0x12345678}, "This chip is none that is known here"),
        ({"megabytes": 2}, "flash is 2 MB, and this firmware needs 4 MB: nothing was written"),
        ({"silent": True}, "Hold its BOOT button down, press EN (RST) once, let BOOT go, and try again."),
    ],
    ids=["another chip", "an unknown chip", "a small flash", "no answer"],
)
def test_a_board_that_cannot_have_it_is_refused(open_page: OpenPage, chip: dict, said: str) -> None:
    with board(open_page, **chip) as (page, found, _):
        connect(page)
        before = bytes(found.flash)
        refused(page, "install", said)
        assert found.flash == before
        assert page.text("where") == "Runs in: this browser"
        page.train()
        assert page.text("checksum") == "e5240774"


def test_what_is_damaged_on_its_way_is_noticed_and_written_again(open_page: OpenPage, programs: Programs) -> None:
    with board(open_page, damage_block=2) as (page, chip, _):
        connect(page)
        refused(page, "install", "What is in flash for the firmware is not what was sent.")
        install(page)
        assert chip.flash == (programs.esp32() / "factory.bin").read_bytes()


def test_a_board_that_is_unplugged_while_it_is_written_is_missed(open_page: OpenPage) -> None:
    with board(open_page, unplug_after_blocks=3) as (page, _, _):
        connect(page)
        refused(page, "install", "the firmware may be half written. Plug it in, connect, and do the same again.")


def test_a_port_that_does_not_open_is_explained(open_page: OpenPage) -> None:
    with board(open_page) as (page, _, wire):
        wire.busy = True
        refused(page, "connect", "another program has it")
        page.driver.execute_script("webSerial.refuses = 'NotFoundError'")
        refused(page, "connect", "No port was chosen.")
        page.driver.execute_script("webSerial.refuses = 'SecurityError'")
        refused(page, "connect", "The browser refuses serial ports to this page")
        wire.busy = False
        page.driver.execute_script("webSerial.refuses = null")
        connect(page)
        wire.busy = True
        refused(page, "install", "another program has it")
        wire.busy = False
        connect(page)


def test_a_board_without_the_program_can_be_given_it(open_page: OpenPage, programs: Programs) -> None:
    with StandInChip("rfc2217") as chip:  # in its loader
        with open_page(PortWire(chip.port)) as page:
            refused(page, "connect", "Nothing on this port answers as this program does.")
            with StandInConsole(chip):
                install(page)
            assert chip.flash == (programs.esp32() / "factory.bin").read_bytes()


def test_an_emulated_esp32_is_given_it_through_the_loader_in_its_rom(
    open_page: OpenPage, programs: Programs, esp32_emulator: str, tmp_path: Path
) -> None:
    """Its pins are as BOOT held down leaves them, and nothing can reset it: the program does not start at the end."""
    flash = tmp_path / "flash.bin"
    flash.write_bytes(b"\xff" * (4 << 20))
    words = emulator.command_esp32(esp32_emulator, flash, "stdio", in_turns=True)
    with open_page(PacedWire([*words, *IN_LOADER])) as page:
        refused(page, "connect", "Nothing on this port answers as this program does.")
        refused(page, "install", "It is written. Now press EN (RST) on the board, which this port could not do")
    assert flash.read_bytes() == (programs.esp32() / "factory.bin").read_bytes()


# ---- One's own text -------------------------------------------------------------------------------------------------

TOWNS = "ulm\nbonn\nköln\n" * 30


def test_ones_own_text_comes_as_the_python_packer_makes_it(open_page: OpenPage, tmp_path: Path) -> None:
    with board(open_page) as (page, chip, _):
        connect(page)
        page.paste(TOWNS)
        page.wait(lambda: page.text("text-status").endswith("Write it to the board."))
        before = bytes(chip.flash)
        page["write-text"].click()
        page.wait(lambda: page.text("board-status") == "The board has Your text now. Press Train.")
        file = tmp_path / "towns.txt"
        file.write_text(TOWNS, encoding="utf-8")
        packed = dataset.pack(file)
        at = before.find(packed)
        assert at < 0
        at = bytes(chip.flash).find(packed)
        assert at == 0x80000
        assert chip.flash[:at] + chip.flash[at + len(packed) :] == before[:at] + before[at + len(packed) :]


@pytest.mark.parametrize(
    ("text", "version", "said"),
    [
        (TOWNS, "microgpt-lx6 v0", "another version of the program (microgpt-lx6 v0) than this page"),
        ("x" * 60 + "\n" * 1 + ("abcdefgh" * 8 + "\n") * 60_000, "", "2,990,080 for one: keep a part"),
    ],
    ids=["another version", "larger than its place"],
)
def test_a_text_that_the_board_cannot_hold_is_refused(open_page: OpenPage, text: str, version: str, said: str) -> None:
    with board(open_page, version) as (page, chip, _):
        connect(page)
        page.paste(text)
        page.wait(lambda: page.text("text-status").endswith("Write it to the board."))
        before = bytes(chip.flash)
        page["write-text"].click()
        page.wait(lambda: said in page.text("board-failure"))
        assert chip.flash == before
        assert page.text("where") == "Runs on: the board"


# ---- What may go wrong on the way -----------------------------------------------------------------------------------


def test_a_board_that_is_unplugged_leaves_the_page_to_this_browser(open_page: OpenPage, core: ProcessWire) -> None:
    with open_page(core) as page:
        connect(page)
        page.fill("steps", "100000")
        page["train"].click()
        page.wait(lambda: page.text("step") != "–")
        core.close()
        page.wait(lambda: page.text("board-failure") == "The board is gone: plug it in again, and press Connect.")
        page.wait(lambda: page.text("status") == READY)
        assert page.text("where") == "Runs in: this browser"
        page.train(steps=1000)
        assert page.text("checksum") == "e5240774"


def test_noise_on_the_line_leaves_nothing_stuck(open_page: OpenPage, core: ProcessWire) -> None:
    """Every so often a byte is lost or another, in the lines that end an answer too; and once the stream ends."""
    count = 0

    def disturbed(data: bytes) -> bytes:
        nonlocal count
        found = bytearray()
        for byte in data:
            count += 1
            found += b"" if count % 211 == 0 else b"\xff" if count % 97 == 0 else bytes([byte])
        return bytes(found)

    with open_page(core) as page:
        connect(page)
        core.disturbed = disturbed
        page.fill("steps", "300")
        page["train"].click()
        page.driver.execute_script("webSerial.port.disturb()")
        page.wait(lambda: page.text("train") != "Stop")
        core.disturbed = lambda data: data
        page["disconnect"].click()
        page.wait(lambda: page.text("where") == "Runs in: this browser")
        connect(page)
        page.train(steps=1000)
        assert page.text("checksum") == "e5240774"


def test_a_board_that_starts_again_is_noticed(open_page: OpenPage) -> None:
    with board(open_page) as (page, chip, _):
        connect(page)
        chip.say("\r\nets Jul 29 2019 12:21:46\r\n# microgpt-lx6 v1\r\n")
        page.wait(lambda: page.text("board-status").startswith("The board has started again."))


def test_a_browser_without_serial_ports_is_told_so(open_page: OpenPage, core: ProcessWire) -> None:
    with open_page(core, WITHOUT) as page:
        assert not page["connect"].is_enabled()
        assert "./sconsw flash monitor" in page.text("no-serial")
