"""A text to learn: documents, and the characters that become tokens."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from mgbuild.plan import dataset


@dataclass(frozen=True)
class Encoded:
    """Many documents as tokens, one behind the other."""

    tokens: bytes
    offsets: "array[int]"  # of each document's first token and, last, of the end; C's uint32_t

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Text:
    """Documents as microgpt.py reads them, packed as the chip reads them. Tokens are indices into `characters`."""

    def __init__(self, image: bytes) -> None:
        """From a packed data set; raises ValueError for one that is none, or damaged."""
        self.image = image
        self.documents = dataset.unpack(image)
        self.characters = dataset.characters(image)
        self._tokens = {character: token for token, character in enumerate(self.characters)}

    @classmethod
    def open(cls, path: str | Path) -> "Text":
        """From a UTF-8 file with one document a line; raises mgbuild.errors.UserError as the packer does."""
        return cls(dataset.pack(Path(path)))

    @classmethod
    def of(cls, documents: Iterable[str], alphabet: str = "") -> "Text":
        """From documents; raises mgbuild.errors.UserError when there are none, too many, or too many characters.

        alphabet: characters that get a token although no document need have them.
        """
        lines = [line.strip() for line in documents if line.strip()]
        return cls(dataset.pack_documents(lines, "the text", alphabet))

    @property
    def vocab_size(self) -> int:
        """Number of characters, and BOS."""
        return len(self.characters) + 1

    def encode(self, text: str) -> bytes:
        """Tokens of a text; raises ValueError for a character outside the alphabet, naming it."""
        for character in text:
            if character not in self._tokens:
                raise ValueError(f"{character!r} is not among the characters that were learned: {self.characters}")
        return bytes(self._tokens[character] for character in text)

    def encode_all(self, documents: Iterable[str]) -> Encoded:
        """Tokens of many documents; raises as `encode`."""
        parts = [self.encode(document) for document in documents]
        return Encoded(b"".join(parts), array("I", accumulate(map(len, parts), initial=0)))

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; BOS has none."""
        return "".join(self.characters[token] for token in tokens)
