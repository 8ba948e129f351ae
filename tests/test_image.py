"""What is flashed: headers for the ROM, the layout of the factory image, equal bytes for equal input."""

import hashlib
import struct
from pathlib import Path

import pytest
from conftest import Programs
from cross import Cross
from elftools.elf.elffile import ELFFile
from mgbuild.errors import UserError
from mgbuild.firmware import image

FIRMWARE_OFFSET = 0x1000
DATASET_OFFSET = 0x80000
CHECKPOINTS_BYTES = 0xA6000  # at the end: two slots of 332 KB
FLASH_BYTES = 4 * 1024 * 1024

PROGRAM = """
    .section .text._start, "ax"
    .global _start
    .type _start, @function
    .balign 4
_start:
    j _start
    .size _start, . - _start

    .section .data.words, "aw"
    .global words
words:
    .long 0x11223344, 0x55667788

    .section .bss.weights, "aw", @nobits
    .space 100000
"""


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory, cross: Cross) -> Path:
    folder = tmp_path_factory.mktemp("image")
    source, part, elf = (folder / f"firmware.{suffix}" for suffix in ("s", "o", "elf"))
    source.write_text(PROGRAM)
    return link(cross, cross.object(source, part), elf)


def link(cross: Cross, part: Path, elf: Path, *flags: str) -> Path:
    return cross.link(elf, "linker/esp32.ld", [part], "--no-gc-sections", *flags)


def loaded(firmware: bytes) -> bytes:
    """The part of an image that the ROM loads: to the digest behind the checksum that ends 16-byte lines."""
    end = 24 + sum(8 + len(data) for _, data in segments(firmware))
    return firmware[: (end // 16 + 1) * 16 + 32]


def segments(firmware: bytes) -> list[tuple[int, bytes]]:
    """Load address and bytes of each segment of an image."""
    found, offset = [], 24
    for _ in range(firmware[1]):
        address, size = struct.unpack_from("<II", firmware, offset)
        found.append((address, firmware[offset + 8 : offset + 8 + size]))
        offset += 8 + size
    return found


def test_header(elf: Path) -> None:
    firmware = image.firmware_image(elf)
    with elf.open("rb") as file:
        entry = ELFFile(file)["e_entry"]
    magic, _, mode, size_and_frequency, entry_point = struct.unpack_from("<BBBBI", firmware)
    assert magic == 0xE9
    assert mode == 2, "dio"
    assert size_and_frequency == 0x20, "4 MB, 40 MHz"
    assert entry_point == entry
    assert firmware[8] == 0xEE, "no write-protect pin"
    assert struct.unpack_from("<H", firmware, 12) == (0,), "an ESP32"


@pytest.mark.parametrize(
    ("mode", "frequency", "megabytes", "bytes_2_and_3"),
    [("qio", "80m", 16, (0, 0x4F)), ("dout", "20m", 2, (3, 0x12)), ("dio", "26m", 8, (2, 0x31))],
)
def test_the_header_says_what_the_options_say(
    cross: Cross, elf: Path, tmp_path: Path, mode: str, frequency: str, megabytes: int, bytes_2_and_3: tuple[int, int]
) -> None:
    other = tmp_path / "other.elf"
    link(cross, elf.with_suffix(".o"), other, f"--defsym=flash_capacity={megabytes << 20}")
    firmware = image.firmware_image(other, image.FlashWiring(mode, frequency))
    assert tuple(firmware[2:4]) == bytes_2_and_3


def test_the_options_reach_what_is_flashed(programs: Programs) -> None:
    folder = programs.esp32(flash_mode="dout", flash_freq="20m", flash_size=2)
    firmware, factory = ((folder / name).read_bytes() for name in ("firmware.bin", "factory.bin"))
    assert tuple(firmware[2:4]) == (3, 0x12), "dout; 2 MB, 20 MHz"
    assert len(factory) == 2 << 20
    assert factory[FIRMWARE_OFFSET : FIRMWARE_OFFSET + len(firmware)] == firmware


def test_a_data_set_beyond_what_the_cache_shows_is_refused_however_large_the_flash(
    cross: Cross, elf: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.elf"
    link(cross, elf.with_suffix(".o"), other, f"--defsym=flash_capacity={16 << 20}")
    layout = image.flash_layout(other)
    window = (4 << 20) - DATASET_OFFSET - CHECKPOINTS_BYTES
    assert image.layout_problems(layout, 1000, window) == []
    (problem,) = image.layout_problems(layout, 1000, window + 3)
    assert "runs 3 bytes into the checkpoints at 0x35a000 of the 16 MB flash" in problem


@pytest.mark.parametrize(("megabytes", "slot_sectors"), [(1, 16), (2, 83), (4, 83), (8, 83), (16, 83)])
def test_two_slots_at_the_end_take_the_largest_model_where_the_data_set_keeps_384_kb(
    megabytes: int, slot_sectors: int, cross: Cross, elf: Path, tmp_path: Path
) -> None:
    """A model that fills both banks of memory, and what else a checkpoint holds, and a sector of claims."""
    other = tmp_path / "other.elf"
    link(cross, elf.with_suffix(".o"), other, f"--defsym=flash_capacity={megabytes << 20}")
    layout = image.flash_layout(other)
    assert min(megabytes, 4) << 20 == layout.dataset_end + 2 * slot_sectors * 4096
    assert layout.dataset_end - layout.dataset >= 384 << 10
    banks = 192 * 1024 + 0x40000000 - 0x3FFE0440
    assert slot_sectors == 16 or (slot_sectors - 1) * 4096 >= banks + 256 + 4 * 255 + 4 * 624


def test_segments_hold_what_was_linked_and_nothing_else(elf: Path) -> None:
    with elf.open("rb") as file:
        sections = [
            (section["sh_addr"], section.data())
            for section in ELFFile(file).iter_sections()
            if section["sh_flags"] & 2 and section["sh_type"] == "SHT_PROGBITS" and section["sh_size"]
            if section.name != image.TEXTS
        ]
    blocks = segments(image.firmware_image(elf))
    assert sum(len(data) for _, data in blocks) == sum(len(data) for _, data in sections)
    for address, data in sections:
        (found,) = [
            block[address - start :][: len(data)] for start, block in blocks if start <= address < start + len(block)
        ]
        assert found == data


def test_checksum_and_digest(elf: Path) -> None:
    firmware = loaded(image.firmware_image(elf))
    body, digest = firmware[:-32], firmware[-32:]
    assert hashlib.sha256(body).digest() == digest
    assert len(body) % 16 == 0
    checksum = 0xEF
    for _, data in segments(firmware):
        for byte in data:
            checksum ^= byte
    assert body[-1] == checksum


def test_texts_lie_behind_what_the_rom_loads_where_the_cache_shows_them(programs: Programs) -> None:
    folder = programs.esp32()
    firmware = (folder / "firmware.bin").read_bytes()
    with (folder / "firmware.elf").open("rb") as file:
        texts = ELFFile(file).get_section_by_name(image.TEXTS)
        address, content = texts["sh_addr"], texts.data()
    at = address - 0x3F400000 - FIRMWARE_OFFSET  # the cache shows flash from its start
    assert firmware[at:] == content
    assert b"what can be asked" in content
    end = len(loaded(firmware))
    assert firmware[end:at] == b"\xff" * (at - end)
    assert 0 <= at - end < 256 + 64


def test_an_image_that_runs_into_its_texts_is_refused(elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "elf2image", lambda *words, **options: bytes(100_000))
    with pytest.raises(UserError, match="runs into its texts at 0x1"):
        image.firmware_image(elf)


def test_equal_bytes_for_equal_input(elf: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "renamed.elf"
    elsewhere.write_bytes(elf.read_bytes())
    assert image.firmware_image(elsewhere) == image.firmware_image(elf)


def test_factory_layout(elf: Path, tmp_path: Path) -> None:
    firmware, dataset = tmp_path / "firmware.bin", tmp_path / "dataset.bin"
    firmware.write_bytes(image.firmware_image(elf))
    dataset.write_bytes(bytes(range(256)) * 40)
    flash = image.factory_image(image.flash_layout(elf), firmware, dataset)
    assert len(flash) == FLASH_BYTES
    parts = {FIRMWARE_OFFSET: firmware.read_bytes(), DATASET_OFFSET: dataset.read_bytes()}
    expected = bytearray(b"\xff" * FLASH_BYTES)
    for offset, data in parts.items():
        expected[offset : offset + len(data)] = data
    assert flash == expected


def test_data_set_that_just_fits_and_one_that_does_not(elf: Path, tmp_path: Path) -> None:
    firmware, dataset = tmp_path / "firmware.bin", tmp_path / "dataset.bin"
    firmware.write_bytes(image.firmware_image(elf))
    dataset.write_bytes(b"\x01" * (FLASH_BYTES - DATASET_OFFSET - CHECKPOINTS_BYTES))
    assert len(image.factory_image(image.flash_layout(elf), firmware, dataset)) == FLASH_BYTES
    dataset.write_bytes(b"\x01" * (FLASH_BYTES - DATASET_OFFSET - CHECKPOINTS_BYTES + 1))
    with pytest.raises(UserError, match="runs 1 bytes into the checkpoints at 0x35a000"):
        image.factory_image(image.flash_layout(elf), firmware, dataset)


def test_firmware_that_would_cover_the_data_set(elf: Path, tmp_path: Path) -> None:
    firmware, dataset = tmp_path / "firmware.bin", tmp_path / "dataset.bin"
    firmware.write_bytes(bytes(DATASET_OFFSET - FIRMWARE_OFFSET + 1))
    dataset.write_bytes(bytes(4))
    with pytest.raises(UserError, match="runs 1 bytes into the data set at 0x80000"):
        image.factory_image(image.flash_layout(elf), firmware, dataset)


def test_file_that_is_no_firmware(tmp_path: Path) -> None:
    wrong = tmp_path / "firmware.elf"
    wrong.write_text("hello")
    with pytest.raises(UserError, match="is not an ELF file"):
        image.firmware_image(wrong)
