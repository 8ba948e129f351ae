"""The data set packer: what it keeps, what the image holds, and what it refuses."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mgbuild.errors import UserError
from mgbuild.plan import dataset


def write(folder, data):
    path = folder / "text.txt"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_image_byte_for_byte(tmp_path):
    image = dataset.pack(write(tmp_path, "ab\nb\n"))
    body = struct.pack("<2I3I", ord("a"), ord("b"), 0, 2, 3) + bytes([0, 1, 1]) + b"\0"
    header = struct.pack("<4s7I", b"MGDS", 1, 32 + len(body), 2, 2, 3, zlib.crc32(body), 0)
    assert image == header + body


def test_names_are_microgpts(root):
    image = dataset.pack(root / "data/names.txt")
    header = dataset.read_header(image)
    assert (header.num_docs, header.num_chars) == (32033, 26)
    assert header.size == len(image) == 324388
    with open(root / "data/names.txt", encoding="utf-8") as file:
        assert dataset.unpack(image) == [line.strip() for line in file]


@pytest.mark.parametrize(
    "text",
    [
        "  emma \n\n\t\nolivia\r\n\r\nava\rmia",  # blanks, and the three kinds of line end
        "no newline at the end",
        "żółw\nщука\n魚\n🐟 fish\n",  # one to four bytes a character, and a blank inside
        "\ufeffmark\nnext\u2028same line\n",  # Python ends a line of a file at neither
        "a" * 5000,
    ],
)
def test_documents_are_those_python_reads(tmp_path, text):
    path = write(tmp_path, text)
    with open(path, encoding="utf-8") as file:
        expected = [line.strip() for line in file if line.strip()]
    assert dataset.unpack(dataset.pack(path)) == expected


@given(st.lists(st.text(st.sampled_from("abc xyz\r\téß魚"), max_size=20), max_size=30))
def test_any_text_survives(tmp_path_factory, lines):
    path = write(tmp_path_factory.mktemp("text"), "\n".join(["always one", *lines]))
    with open(path, encoding="utf-8") as file:
        expected = [line.strip() for line in file if line.strip()]
    image = dataset.pack(path)
    assert len(image) % 4 == 0
    assert dataset.unpack(image) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b" \n\t\r\n", "empty"),
        (b"emma\r\nolivia\rzo\xeb\n", "not UTF-8: line 3 has byte 0xeb"),
        (b"\xff\xfee\0", "line 1"),
        ("\n".join(chr(0x4E00 + i) for i in range(256)), "256 distinct characters"),
        ("a\n" * 65536, "65536 documents.*65535.*head -n 65535"),
    ],
)
def test_refusals_say_what_is_wrong(tmp_path, data, message):
    with pytest.raises(UserError, match=message):
        dataset.pack(write(tmp_path, data))


def test_refuses_what_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="cannot read.*No such file"):
        dataset.pack(tmp_path / "missing.txt")


def test_limits_themselves_are_allowed(tmp_path):
    characters = "\n".join(chr(0x4E00 + i) for i in range(255))
    assert dataset.read_header(dataset.pack(write(tmp_path, characters))).num_chars == 255
    assert dataset.read_header(dataset.pack(write(tmp_path, "a\n" * 65535))).num_docs == 65535


def test_damage_is_noticed(tmp_path):
    image = bytearray(dataset.pack(write(tmp_path, "ab\nb\n")))
    with pytest.raises(ValueError, match="damaged"):
        dataset.read_header(bytes(image[:-4]))
    image[-4] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        dataset.read_header(bytes(image))
    with pytest.raises(ValueError, match="not a data set image"):
        dataset.read_header(b"MGDX" + bytes(image[4:]))
    with pytest.raises(ValueError, match="not a data set image"):
        dataset.read_header(b"")
