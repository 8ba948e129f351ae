"""The data set: from a text file, one document a line, to the image that firmware reads in place from flash.

Image, little endian: a header of eight u32 (`Header`), the characters (num_chars x u32, sorted code points),
the offsets (num_docs + 1 x u32, index of each document's first token and, last, num_tokens), the tokens
(num_tokens x u8, index of the character), zeros up to a multiple of four bytes.
"""

import struct
import zlib
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from mgbuild.errors import UserError

MAGIC = int.from_bytes(b"MGDS", "little")
VERSION = 1
MAX_CHARACTERS = 255  # a token is one byte and BOS takes the id after the last character
MAX_DOCUMENTS = 65535  # the shuffle on the chip holds 16-bit document numbers

_HEADER = struct.Struct("<8I")


@dataclass(frozen=True)
class Header:
    """What the first 32 bytes of an image say."""

    size: int  # of the whole image, in bytes
    num_docs: int
    num_chars: int
    num_tokens: int  # of all documents, BOS not counted
    crc32: int  # zlib's, over every byte after the header


def read_documents(path: Path) -> list[str]:
    """Documents of a UTF-8 text, as microgpt.py reads them: lines stripped, blank ones skipped.

    Raises UserError when the file cannot be read, is not UTF-8 (naming the line), or holds no document.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read data set {path}: {error.strerror}") from None
    try:
        text = _universal_newlines(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = _universal_newlines(data[: error.start].decode("utf-8")).count("\n") + 1
        raise UserError(
            f"data set {path} is not UTF-8: line {line} has byte 0x{data[error.start]:02x}; "
            f"save it as UTF-8, for example iconv -f latin1 -t utf-8 {path} > utf8.txt"
        ) from None
    documents = [line.strip() for line in text.split("\n") if line.strip()]
    if not documents:
        raise UserError(f"data set {path} is empty; give a text with one document a line")
    return documents


def pack(path: Path) -> bytes:
    """Image of the data set in a text file; raises UserError when it exceeds what the firmware can hold."""
    documents = read_documents(path)
    characters = sorted(set("".join(documents)))
    if len(characters) > MAX_CHARACTERS:
        raise UserError(
            f"data set {path} has {len(characters)} distinct characters and a token can name "
            f"{MAX_CHARACTERS}; replace rare ones, for example capitals, accents or emoji"
        )
    if len(documents) > MAX_DOCUMENTS:
        raise UserError(
            f"data set {path} has {len(documents)} documents and the shuffle on the chip can hold "
            f"{MAX_DOCUMENTS}; keep a part, for example head -n {MAX_DOCUMENTS} {path} > part.txt"
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
    """Header of an image; raises ValueError unless magic, version, size and checksum are right."""
    fields = _HEADER.unpack_from(image.ljust(_HEADER.size, b"\0"))
    magic, version, size, num_docs, num_chars, num_tokens, crc32, _ = fields
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"not a data set image of version {VERSION}")
    if size != len(image) or crc32 != zlib.crc32(image[_HEADER.size :]):
        raise ValueError("data set image is damaged: its size or checksum is wrong")
    return Header(size, num_docs, num_chars, num_tokens, crc32)


def unpack(image: bytes) -> list[str]:
    """Documents that an image holds, in order: the inverse of `pack`; raises ValueError as `read_header`."""
    header = read_header(image)
    words = struct.unpack_from(f"<{header.num_chars + header.num_docs + 1}I", image, _HEADER.size)
    characters = [chr(word) for word in words[: header.num_chars]]
    offsets = words[header.num_chars :]
    first = _HEADER.size + 4 * len(words)
    text = "".join(characters[token] for token in image[first : first + header.num_tokens])
    return [text[begin:end] for begin, end in zip(offsets, offsets[1:], strict=False)]


def _universal_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
