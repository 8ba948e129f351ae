"""The data set: from a text file, one document a line, to the image that firmware reads in place from flash.

Image, little endian: a header of eight u32 (`Header`), the characters (num_chars x u32, sorted code points),
the offsets (num_docs + 1 x u32, index of each document's first token and, last, num_tokens), the tokens
(num_tokens x u8, index of the character), zeros up to a multiple of four bytes.
"""

import codecs
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

from mgbuild.errors import UserError

MAGIC = int.from_bytes(b"MGDS", "little")
VERSION = 1
MAX_CHARACTERS = 255  # a token is one byte and BOS takes the id after the last character
MAX_DOCUMENTS = 65535  # the shuffle on the chip holds 16-bit document numbers
MAX_TEXT_BYTES = 64 << 20  # of a file; more is a slip, for no chip has so much flash

# How a text in another encoding may begin; the longer mark first, for the shorter is its beginning.
OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

_HEADER = struct.Struct("<8I")


@dataclass(frozen=True)
class Header:
    """What the first 32 bytes of an image say."""

    size: int  # of the whole image, in bytes
    num_docs: int
    num_chars: int
    num_tokens: int  # of all documents, BOS not counted
    crc32: int  # zlib's, over every byte after the header


def read_documents(path: Path, remark: Callable[[str], object] = lambda sentence: None) -> list[str]:
    """Documents of a UTF-8 text, as microgpt.py reads them: lines stripped, blank ones skipped.

    A byte-order mark, which some editors write and microgpt.py takes for a letter, is left out, and `remark` told so.
    Raises UserError when the file cannot be read, is too large, is not UTF-8 (naming the line), or holds no document.
    """
    text = _universal_newlines(_decoded(path, _content(path)))
    if text.startswith("\ufeff"):
        remark(f"data set {path} begins with a byte-order mark, which is left out")
        text = text[1:]
    documents = [line.strip() for line in text.split("\n") if line.strip()]
    if not documents:
        raise UserError(f"data set {path} is empty; give a text with one document a line")
    return documents


def pack(path: Path, remark: Callable[[str], object] = lambda sentence: None) -> bytes:
    """Image of the data set in a text file; raises UserError when it exceeds what the firmware can hold.

    `remark` is told what else a user should know.
    """
    return pack_documents(read_documents(path, remark), f"data set {path}")


def pack_documents(documents: list[str], name: str, alphabet: str = "") -> bytes:
    """Image of documents; raises UserError, by that name, when there are none or more than the firmware can hold.

    alphabet: characters that it names besides theirs.
    """
    characters = sorted(set("".join([alphabet, *documents])))
    if not documents:
        raise UserError(f"{name} is empty; give a text with one document a line")
    if len(characters) > MAX_CHARACTERS:
        raise UserError(
            f"{name} has {len(characters)} distinct characters and a token can name "
            f"{MAX_CHARACTERS}; replace rare ones, for example capitals, accents or emoji"
        )
    if len(documents) > MAX_DOCUMENTS:
        raise UserError(
            f"{name} has {len(documents)} documents and the shuffle on the chip can hold "
            f"{MAX_DOCUMENTS}; keep a part, for example with head -n {MAX_DOCUMENTS}"
        )
    token = {character: index for index, character in enumerate(characters)}
    tokens = bytes(token[character] for document in documents for character in document)
    offsets = list(accumulate((len(document) for document in documents), initial=0))
    words = [*map(ord, characters), *offsets]
    body = struct.pack(f"<{len(words)}I", *words) + tokens
    body += bytes(-len(body) % 4)
    header = _HEADER.pack(
        MAGIC,
        VERSION,
        _HEADER.size + len(body),
        len(documents),
        len(characters),
        len(tokens),
        zlib.crc32(body),
        0,
    )
    return header + body


def read_header(image: bytes) -> Header:
    """Header of an image; raises ValueError unless magic, version, size, checksum and counts are right."""
    fields = _HEADER.unpack_from(image.ljust(_HEADER.size, b"\0"))
    magic, version, size, num_docs, num_chars, num_tokens, crc32, _ = fields
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"not a data set image of version {VERSION}")
    if size != len(image) or crc32 != zlib.crc32(image[_HEADER.size :]):
        raise ValueError("data set image is damaged: its size or checksum is wrong")
    content = 4 * (num_chars + num_docs + 1) + num_tokens
    if size != _HEADER.size + content + -content % 4 or not 1 <= num_docs <= MAX_DOCUMENTS:
        raise ValueError("data set image is wrong: its counts do not make up its size")
    if num_chars > MAX_CHARACTERS:
        raise ValueError(f"data set image is wrong: it has more than {MAX_CHARACTERS} characters")
    return Header(size, num_docs, num_chars, num_tokens, crc32)


def characters(image: bytes) -> str:
    """The alphabet of an image, in the order of its tokens; raises ValueError as `read_header`."""
    header = read_header(image)
    return "".join(map(chr, struct.unpack_from(f"<{header.num_chars}I", image, _HEADER.size)))


def unpack(image: bytes) -> list[str]:
    """Documents that an image holds, in order: the inverse of `pack`.

    Raises ValueError as `read_header`, and for offsets, characters or tokens that no text has.
    """
    header = read_header(image)
    words = struct.unpack_from(f"<{header.num_chars + header.num_docs + 1}I", image, _HEADER.size)
    alphabet, offsets = words[: header.num_chars], words[header.num_chars :]
    tokens = image[_HEADER.size + 4 * len(words) :][: header.num_tokens]
    spans = list(pairwise(offsets))
    if offsets[0] != 0 or offsets[-1] != header.num_tokens or any(begin > end for begin, end in spans):
        raise ValueError("data set image is wrong: its offsets do not go up from 0 to the number of tokens")
    if any(first >= second for first, second in pairwise(alphabet)) or alphabet[-1:] > (sys.maxunicode,):
        raise ValueError("data set image is wrong: its characters are none of Unicode's in ascending order")
    if max(tokens, default=-1) >= header.num_chars:
        raise ValueError("data set image is wrong: it has a token beyond its alphabet")
    text = "".join(chr(alphabet[token]) for token in tokens)
    return [text[begin:end] for begin, end in spans]


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise UserError(
                f"data set {path} has {size:,} bytes; at most {MAX_TEXT_BYTES:,} are packed, so keep a part"
            )
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read data set {path}: {error.strerror}") from None


def _decoded(path: Path, data: bytes) -> str:
    other = next((name for mark, name in OTHER_MARKS.items() if data.startswith(mark)), None)
    if other is None and b"\0" in data:
        line = _universal_newlines(data[: data.index(0)].decode("utf-8", "replace")).count("\n") + 1
        if len(data) % 2 == 0 and min(data[::2].count(0), data[1::2].count(0)) == 0:
            other = "UTF-16LE" if data[1::2].count(0) else "UTF-16BE"
        else:
            raise UserError(f"data set {path} is not text: line {line} has a NUL byte; give a UTF-8 text")
    if other:
        raise UserError(
            f"data set {path} is {other}, not UTF-8; convert it: iconv -f {other.lower()} -t utf-8 {path} > utf8.txt"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _universal_newlines(data[: error.start].decode("utf-8")).count("\n") + 1
        raise UserError(
            f"data set {path} is not UTF-8: line {line} has byte 0x{data[error.start]:02x}; "
            f"save it as UTF-8, for example iconv -f latin1 -t utf-8 {path} > utf8.txt"
        ) from None


def _universal_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
