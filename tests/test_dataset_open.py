"""What the firmware makes of a data set that is not what the packer writes (src_c/core/dataset.c): an error that names
the fault, and no read outside the memory it was told of. test_c_checks.py runs these tests where a stray read shows.
"""

import ctypes
import re
import struct
import zlib
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_uint8, c_uint32, c_void_p
from pathlib import Path

import pytest
from conftest import ROOT, Programs
from hypothesis import given
from hypothesis import strategies as st
from mgbuild.emulated import emulator
from mgbuild.plan import dataset

HEADER = (ROOT / "src_c/core/dataset.h").read_text(encoding="utf-8")
ERRORS = re.findall(r"^    DATASET_(\w+),", HEADER, re.MULTILINE)
ALPHABET = list(range(ord("a"), ord("z") + 1))
MOST_CHARACTERS = 255  # a token is a byte, and BOS takes the one after the last character
MOST_DOCUMENTS = 65535  # their numbers have 16 bits
HEADER_BYTES = 32
FIELDS = ("magic", "version", "size", "num_docs", "num_chars", "num_tokens", "crc32", "reserved")


def image(
    tokens: bytes = b"\0\1\2", offsets: tuple[int, ...] = (0, 2, 3), characters: list[int] = ALPHABET, **header: int
) -> bytes:
    """A data set of two documents unless told otherwise. `header` replaces fields; the checksum is that of the rest."""
    words = [*characters, *offsets]
    body = struct.pack(f"<{len(words)}I", *words) + tokens + bytes(-len(tokens) % 4)
    right = {
        "magic": dataset.MAGIC,
        "version": dataset.VERSION,
        "size": HEADER_BYTES + len(body),
        "num_docs": len(offsets) - 1,
        "num_chars": len(characters),
        "num_tokens": len(tokens),
        "crc32": zlib.crc32(body[: max(0, header.get("size", HEADER_BYTES + len(body)) - HEADER_BYTES)]),
        "reserved": 0,
    }
    return struct.pack("<8I", *((right | header)[field] for field in FIELDS)) + body


class Opened(Structure):
    """struct dataset."""

    _fields_ = [("documents", c_uint32), ("vocab_size", c_uint32), ("characters", POINTER(c_uint32))]
    _fields_ += [("offsets", POINTER(c_uint32)), ("tokens", POINTER(c_uint8))]

    def texts(self) -> list[str]:
        """Every document, read as the learner reads it."""
        return [
            "".join(chr(self.characters[self.tokens[i]]) for i in range(self.offsets[d], self.offsets[d + 1]))
            for d in range(self.documents)
        ]


Open = Callable[[bytes], tuple[str, Opened]]


@pytest.fixture(scope="module")
def dataset_open(programs: Programs) -> Open:
    """Function from an image, in memory exactly as long as it is, to the name of the error and what was opened."""
    library, libc = programs.load(), ctypes.CDLL(None)
    library.dataset_open.argtypes = [c_void_p, c_uint32, c_void_p]
    libc.malloc.restype, libc.malloc.argtypes = c_void_p, [ctypes.c_size_t]
    libc.memcpy.argtypes = [c_void_p, c_char_p, ctypes.c_size_t]
    libc.free.argtypes = [c_void_p]
    blocks = []

    def call(data: bytes) -> tuple[str, Opened]:
        opened = Opened()
        blocks.append(libc.malloc(len(data)))
        libc.memcpy(blocks[-1], data, len(data))
        return ERRORS[library.dataset_open(blocks[-1], len(data), ctypes.byref(opened))], opened

    yield call
    for block in blocks:
        libc.free(block)


def fault(data: bytes) -> str:
    """The error for these bytes, found with slices, which cannot leave them."""
    if len(data) < HEADER_BYTES or data[:4] != b"MGDS":
        return "MISSING"
    _, version, size, documents, characters, tokens, crc32, _ = struct.unpack_from("<8I", data)
    if version != dataset.VERSION:
        return "OTHER_FORMAT"
    if not 1 <= characters <= MOST_CHARACTERS:
        return "OTHER_ALPHABET"
    if not 1 <= documents <= MOST_DOCUMENTS:
        return "TOO_LARGE" if documents else "EMPTY"
    if size > len(data):
        return "CUT_SHORT"
    tokens_at = HEADER_BYTES + 4 * (characters + documents + 1)
    if not tokens_at + tokens <= size <= tokens_at + tokens + 3:
        return "WRONG_SIZE"
    if zlib.crc32(data[HEADER_BYTES:size]) != crc32:
        return "WRONG_CHECKSUM"
    words = struct.unpack_from(f"<{characters + documents + 1}I", data, HEADER_BYTES)
    alphabet, offsets = words[:characters], words[characters:]
    if list(alphabet) != sorted(set(alphabet)) or alphabet[-1] > 0x10FFFF:
        return "WRONG_CHARACTERS"
    if list(offsets) != sorted(offsets) or (offsets[0], offsets[-1]) != (0, tokens):
        return "WRONG_OFFSETS"
    return "OK" if all(token < characters for token in data[tokens_at : tokens_at + tokens]) else "WRONG_TOKENS"


OTHER_LETTERS = [*ALPHABET[:-1], 0x110000]
HOSTILE = [
    ("MISSING", b""),
    ("MISSING", image()[: HEADER_BYTES - 1]),
    ("MISSING", b"\xff" * HEADER_BYTES),
    ("MISSING", image(magic=dataset.MAGIC + 1)),
    ("OTHER_FORMAT", image(version=dataset.VERSION + 1)),
    ("OTHER_ALPHABET", image(b"", offsets=(0, 0), characters=[])),
    ("OTHER_ALPHABET", image(characters=[*range(MOST_CHARACTERS + 1)])),
    ("OTHER_ALPHABET", image(num_chars=2**32 - 1)),  # and one more for BOS are none modulo 2^32
    ("EMPTY", image(b"", offsets=(0,))),
    ("TOO_LARGE", image(num_docs=MOST_DOCUMENTS + 1)),
    ("TOO_LARGE", image(num_docs=2**32 - 1)),  # where 4 bytes for each are as many as there are modulo 2^32
    ("CUT_SHORT", image()[:-1]),
    ("CUT_SHORT", image(size=2**32 - 4)),
    ("CUT_SHORT", image(size=len(image()) + 1000, num_tokens=1003)),  # enlarged together
    ("WRONG_SIZE", image(size=0)),
    ("WRONG_SIZE", image(size=HEADER_BYTES)),
    ("WRONG_SIZE", image(num_tokens=8)),
    ("WRONG_SIZE", image(num_tokens=2**32 - 1)),
    ("WRONG_SIZE", image(num_docs=3)),
    ("WRONG_SIZE", image(num_chars=27)),
    ("WRONG_SIZE", image(num_docs=MOST_DOCUMENTS)),
    ("WRONG_CHECKSUM", image(crc32=0)),
    ("WRONG_CHECKSUM", image()[:-1] + b"\1"),
    ("WRONG_CHARACTERS", image(characters=ALPHABET[::-1])),
    ("WRONG_CHARACTERS", image(characters=[*ALPHABET[:-1], ALPHABET[-2]])),
    ("WRONG_CHARACTERS", image(characters=OTHER_LETTERS)),
    ("WRONG_CHARACTERS", image(characters=[0xFFFFFFFF, *ALPHABET[1:]])),
    ("WRONG_OFFSETS", image(offsets=(1, 2, 3))),
    ("WRONG_OFFSETS", image(offsets=(0, 2, 2))),
    ("WRONG_OFFSETS", image(offsets=(0, 4, 3))),
    ("WRONG_OFFSETS", image(offsets=(0, 2**32 - 1, 3))),
    ("WRONG_OFFSETS", image(offsets=(0, 2, 1, 3))),
    ("WRONG_TOKENS", image(b"\0\1\x1a")),  # the token of BOS
    ("WRONG_TOKENS", image(b"\xff\1\2")),
    ("WRONG_TOKENS", image(b"\0\1\2", characters=[65, 66])),
]


@pytest.mark.parametrize(("error", "data"), HOSTILE, ids=[f"{i}-{error}" for i, (error, _) in enumerate(HOSTILE)])
def test_each_fault_has_its_error(error: str, data: bytes, dataset_open: Open) -> None:
    assert fault(data) == error
    assert dataset_open(data)[0] == error


def test_every_error_is_among_the_faults() -> None:
    assert {"OK", *(error for error, _ in HOSTILE)} == set(ERRORS)


def test_what_the_packer_writes_is_opened_as_it_is(dataset_open: Open, tmp_path: Path) -> None:
    documents = ["emma", "a", "olivia", "jacqueline", "z"]
    text = tmp_path / "names.txt"
    text.write_text("\n".join([*documents, "".join(map(chr, ALPHABET))]))
    packed = dataset.pack(text)
    for data in (packed, packed + b"more flash behind it"):
        error, opened = dataset_open(data)
        assert error == "OK"
        assert opened.vocab_size == len(ALPHABET) + 1
        assert opened.texts() == dataset.unpack(packed)


@pytest.mark.parametrize("characters", [1, 2, 27, MOST_CHARACTERS])
def test_a_text_may_have_any_alphabet_that_a_byte_can_name(characters: int, dataset_open: Open) -> None:
    documents = ["".join(map(chr, range(0x4E00, 0x4E00 + characters))), "\u4e00"]
    error, opened = dataset_open(dataset.pack_documents(documents, "the text"))
    assert (error, opened.vocab_size) == ("OK", characters + 1)
    assert opened.texts() == documents


def test_a_text_may_have_as_many_documents_as_16_bits_number(dataset_open: Open) -> None:
    error, opened = dataset_open(dataset.pack_documents(["a"] * MOST_DOCUMENTS, "the text"))
    assert (error, opened.documents) == ("OK", MOST_DOCUMENTS)
    assert opened.offsets[MOST_DOCUMENTS] == MOST_DOCUMENTS


words32 = st.integers(0, 2**32 - 1) | st.integers(0, 40) | st.integers(0, 40).map(lambda n: 2**32 - 1 - n)


@st.composite
def hostile_images(draw: st.DrawFn) -> bytes:
    """Images with some parts wrong in any way and a right checksum, cut or lengthened now and then."""
    characters = sorted(draw(st.sets(st.integers(0, 0x10FFFF), min_size=1, max_size=40) | st.just(set(ALPHABET))))
    tokens = bytes(draw(st.lists(st.integers(0, len(characters) - 1) | st.integers(0, 255), max_size=30)))
    inner = sorted(draw(st.lists(st.integers(0, len(tokens)), max_size=4)))
    offsets = [0, *inner, len(tokens)]
    for words in draw(st.sets(st.sampled_from(("offsets", "characters")))):
        chosen = {"offsets": offsets, "characters": characters}[words]
        chosen[draw(st.integers(0, len(chosen) - 1))] = draw(words32)
    header = draw(st.dictionaries(st.sampled_from(FIELDS[2:6]), words32, max_size=2))
    data = image(tokens, tuple(offsets), characters, **header)
    return data[: draw(st.just(len(data)) | st.integers(0, len(data)))] + draw(st.just(b"") | st.binary(max_size=40))


@given(hostile_images())
def test_any_other_image_is_refused_or_safe_to_read(dataset_open: Open, data: bytes) -> None:
    error, opened = dataset_open(data)
    assert error == fault(data)
    if error == "OK":
        size = struct.unpack_from("<8I", data)[2]
        assert opened.texts() == dataset.unpack(data[:size])


MESSAGES = {
    "MISSING": "missing",
    "OTHER_FORMAT": "in another format",
    "OTHER_ALPHABET": "without characters, or with more than 255",
    "EMPTY": "empty",
    "TOO_LARGE": "too large",
    "CUT_SHORT": "cut short",
    "WRONG_SIZE": "damaged: size",
    "WRONG_CHECKSUM": "damaged: checksum",
    "WRONG_CHARACTERS": "damaged: characters",
    "WRONG_OFFSETS": "damaged: offsets",
    "WRONG_TOKENS": "damaged: tokens",
}


@pytest.mark.parametrize("error", MESSAGES)
def test_the_program_says_what_is_wrong_and_ends(error: str, programs: Programs, tmp_path: Path) -> None:
    """On the emulated core, where 32 MB are readable: only a size beyond them is cut short."""
    data = image(size=2**32 - 4) if error == "CUT_SHORT" else dict(HOSTILE)[error]
    hostile = tmp_path / "dataset.bin"
    hostile.write_bytes(data)
    done = emulator.capture(programs.sim()[0], hostile, 20)
    assert done.stdout == f"# error: the data set is {MESSAGES[error]}; build and flash both: scons flash\n"
    assert done.returncode == 1
