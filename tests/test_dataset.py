"""The data set packer: what it keeps, what the image holds, and what it refuses."""

import os
import struct
import zlib

import pytest
from hypothesis import example, given
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
        "one\ufeff mark inside\nnext\u2028same line\n",  # Python ends a line of a file at neither
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
        ("emma\n".encode("utf-16"), "is UTF-16, not UTF-8; convert it: iconv -f utf-16 -t utf-8"),
        ("emma\n".encode("utf-16-be"), "is UTF-16BE, not UTF-8; convert it: iconv -f utf-16be"),
        ("emma\n".encode("utf-16-le"), "is UTF-16LE"),
        ("emma\n".encode("utf-32"), "is UTF-32"),
        (b"emma\nol\0ivia\n", "is not text: line 2 has a NUL byte"),
        (b"\0" * 1000, "is not text: line 1 has a NUL byte"),
        (b"\xef\xbb\xbf\n", "empty"),
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


def test_a_byte_order_mark_is_dropped_and_said(tmp_path):
    remarks = []
    marked = write(tmp_path, "\ufeffemma\nolivia\n")
    image = dataset.pack(marked, remarks.append)
    assert dataset.unpack(image) == ["emma", "olivia"]
    assert remarks == [f"data set {marked} begins with a byte-order mark, which is left out"]
    dataset.pack(write(tmp_path, "emma\n"), remarks.append)
    assert len(remarks) == 1


def test_a_file_of_gigabytes_is_refused_unread(tmp_path):
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), 3 << 30)  # sparse
    with pytest.raises(UserError, match="3,221,225,472 bytes; at most 67,108,864 are packed"):
        dataset.pack(huge)


def image_of(alphabet, offsets, tokens, counts=None):
    """Image with these contents and a right checksum; counts: of documents, characters and tokens, if they lie."""
    body = struct.pack(f"<{len(alphabet) + len(offsets)}I", *alphabet, *offsets) + bytes(tokens)
    body += bytes(-len(body) % 4)
    documents, characters, length = counts or (len(offsets) - 1, len(alphabet), len(tokens))
    fields = (b"MGDS", 1, 32 + len(body), documents, characters, length, zlib.crc32(body), 0)
    return struct.pack("<4s7I", *fields) + body


def test_a_made_up_image_with_nothing_wrong_is_read():
    assert dataset.unpack(image_of([97, 98], [0, 2, 3], [0, 1, 1])) == ["ab", "b"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (image_of([97, 98], [0, 2, 3], [0, 1, 1], counts=(3, 2, 3)), "counts"),
        (image_of([97, 98], [0, 2, 3], [0, 1, 1], counts=(2, 2, 9)), "counts"),
        (image_of([97, 98], [0, 2, 3], [0, 1, 1], counts=(2, 2**32 - 1, 3)), "counts"),
        (image_of([97], [0], []), "counts"),
        (image_of([97, 98], [0, 3, 2], [0, 1]), "offsets"),
        (image_of([97, 98], [1, 2, 3], [0, 1, 1]), "offsets"),
        (image_of([97, 98], [0, 2, 9], [0, 1, 1]), "offsets"),
        (image_of([97, 98], [0, 2, 3], [0, 1, 2]), "beyond its alphabet"),
        (image_of([98, 97], [0, 2, 3], [0, 1, 1]), "ascending"),
        (image_of([97, 0x110000], [0, 2, 3], [0, 1, 1]), "Unicode"),
        (image_of(range(97, 97 + 256), [0, 1], [0]), "more than 255 characters"),
    ],
)
def test_an_image_that_no_packer_made_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        dataset.unpack(image)


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf\xef\xbb\xbfa")
@example(b"\xff\xfe")
def test_any_bytes_are_packed_or_refused_with_a_sentence(tmp_path_factory, data):
    path = write(tmp_path_factory.mktemp("bytes"), data)
    try:
        image = dataset.pack(path)
    except UserError as error:
        assert str(path) in str(error)
        return
    documents = dataset.unpack(image)
    assert documents == [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]


@given(st.data())
def test_a_hostile_image_is_read_or_refused_and_nothing_else(data):
    """Any change of an image, with a right checksum or without."""
    image = bytearray(image_of([97, 98, 0x10FFFF], [0, 3, 4, 8], [0, 1, 2, 0, 1, 1, 1, 2]))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(image)))
    image = image[:cut] if data.draw(st.booleans()) else image
    if data.draw(st.booleans()) and len(image) >= 32:
        struct.pack_into("<I", image, 8, len(image))
        struct.pack_into("<I", image, 24, zlib.crc32(image[32:]))
    try:
        documents = dataset.unpack(bytes(image))
    except ValueError:
        return
    assert len(documents) == dataset.read_header(bytes(image)).num_docs


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
