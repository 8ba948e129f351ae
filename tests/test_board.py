"""The whole program on a real board: run with `scons test board=PORT`, which flashes it. Left out otherwise."""

import re
from pathlib import Path

import pytest
from conftest import Programs
from mgbuild.device import flash, monitor
from mgbuild.firmware import image

TIMEOUT = 120  # seconds; a run takes a few

pytestmark = pytest.mark.board


def test_the_board_learns_the_names_of_the_host(board_port: str, programs: Programs, tmp_path: Path) -> None:
    folder = programs.esp32()
    elf, log = folder / "firmware.elf", tmp_path / "console.log"
    layout = image.flash_layout(elf)
    parts = [
        flash.Part("firmware", layout.firmware, folder / "firmware.bin"),
        flash.Part("data set", layout.dataset, folder / "dataset.bin"),
    ]
    flash.write(parts, board_port, 460800, layout.capacity)
    wanted = re.compile("^weights crc32")
    assert monitor.monitor(board_port, elf, until=wanted, timeout=TIMEOUT, log=log, terminal=False) == 0
    output = "".join(line for line in log.read_text().splitlines(keepends=True) if not line.startswith("# "))
    assert programs.run_host().stdout in output
