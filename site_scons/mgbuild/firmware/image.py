"""What is flashed: the image that the ESP32's ROM loads, and the factory image, which adds the data set."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import esptool
from esptool.cmds import elf2image, merge_bin
from esptool.logger import log

from mgbuild.errors import UserError
from mgbuild.firmware.elf import absolute_symbols, opened

CHIP = "esp32"
MEGABYTE = 1 << 20
TEXTS = ".texts"  # the section that stays in flash
NOTE = 7  # SHT_NOTE: of no concern to who loads a program


@dataclass(frozen=True)
class FlashLayout:
    """Where things are in flash, in bytes from its start; linker/esp32.ld decides."""

    capacity: int
    firmware: int
    dataset: int
    dataset_end: int  # where checkpoints begin


def flash_layout(elf: Path) -> FlashLayout:
    """Flash layout that a firmware was linked for; raises UserError when the ELF does not name it."""
    symbols = absolute_symbols(elf)
    try:
        names = ("flash_capacity", "flash_firmware", "flash_dataset", "flash_dataset_end")
        return FlashLayout(*(symbols[name] for name in names))
    except KeyError as error:
        raise UserError(f"{elf} has no symbol {error.args[0]}: link it with linker/esp32.ld") from None


@dataclass(frozen=True)
class FlashWiring:
    """How the ROM is to read the flash: the header of the image says it."""

    mode: str = "dio"  # esptool's own default, qio, needs a flash chip whose QE bit has been set
    frequency: str = "40m"


def layout_problems(layout: FlashLayout, firmware_bytes: int, dataset_bytes: int) -> list[str]:
    """One sentence for each part, of the given size in bytes, that does not fit its place in flash."""
    problems = []
    excess = layout.firmware + firmware_bytes - layout.dataset
    if excess > 0:
        problems.append(
            f"the firmware image ({firmware_bytes:,} bytes at flash offset {layout.firmware:#x}) runs "
            f"{excess:,} bytes into the data set at {layout.dataset:#x}; make it smaller, "
            "or raise flash_dataset in linker/esp32.ld"
        )
    excess = layout.dataset + dataset_bytes - layout.dataset_end
    if excess > 0:
        problems.append(
            f"the data set ({dataset_bytes:,} bytes at flash offset {layout.dataset:#x}) runs {excess:,} bytes into "
            f"the checkpoints at {layout.dataset_end:#x} of the {layout.capacity // MEGABYTE} MB flash; "
            "use a data set with fewer or shorter documents"
        )
    return problems


def firmware_image(elf: Path, wiring: FlashWiring = FlashWiring()) -> bytes:
    """The image of a firmware ELF: what the ROM loads, and behind it what stays in flash.

    Equal bytes for equal arguments. Raises UserError when the ELF cannot be read, was not linked with
    linker/esp32.ld, or esptool refuses it.
    """
    layout = flash_layout(elf)
    loaded, offset, texts = _without_texts(elf)
    with _esptool(f"cannot make a firmware image of {elf}"):
        image = elf2image(
            loaded,
            CHIP,
            flash_mode=wiring.mode,
            flash_freq=wiring.frequency,
            flash_size=_flash_size(layout),
        )
    if layout.firmware + len(image) > offset:
        raise UserError(
            f"the image of {elf} runs into its texts at {offset:#x} of flash: "
            "linker/esp32.ld leaves too little, or more than they lies in flash"
        )
    return image.ljust(offset - layout.firmware, b"\xff") + texts


def _without_texts(elf: Path) -> tuple[bytes, int, bytes]:
    """An ELF from which esptool takes no section of texts, their offset in flash, and their bytes."""
    content = bytearray(elf.read_bytes())
    with opened(elf) as file:
        index = file.get_section_index(TEXTS)
        if index is None:
            raise UserError(f"{elf} has no section {TEXTS}: link it with linker/esp32.ld")
        section = file.get_section(index)
        header = file["e_shoff"] + index * file["e_shentsize"]
        offset, texts = section["sh_addr"] - absolute_symbols(elf)["flash_window"], section.data()
    type_at = header + 4  # of struct Elf32_Shdr, behind the name
    content[type_at : type_at + 4] = NOTE.to_bytes(4, "little")
    return bytes(content), offset, texts


def factory_image(layout: FlashLayout, firmware: Path, dataset: Path) -> bytes:
    """All of the flash: firmware image and data set in place and 0xFF between.

    Raises UserError when one of the two does not fit its place.
    """
    parts = {layout.firmware: firmware.read_bytes(), layout.dataset: dataset.read_bytes()}
    problems = layout_problems(layout, *map(len, parts.values()))
    if problems:
        raise UserError("; ".join(problems))
    with _esptool("cannot make an image of the whole flash"):
        return merge_bin([*parts.items()], CHIP, pad_to_size=_flash_size(layout))


def _flash_size(layout: FlashLayout) -> str:
    return f"{layout.capacity // MEGABYTE}MB"


@contextmanager
def _esptool(failure: str) -> Iterator[None]:
    """Keep esptool quiet, and turn what it refuses into a UserError that begins with `failure`."""
    log.set_verbosity("silent")
    try:
        yield
    except esptool.FatalError as error:
        raise UserError(f"{failure}: {error}") from None
