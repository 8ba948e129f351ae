"""Documents, characters and tokens as microgpt.py makes them."""

from collections.abc import Iterable, Sequence
from pathlib import Path


def documents(path: Path) -> list[str]:
    """Lines of a UTF-8 text, stripped, blank ones and a byte-order mark left out.

    Raises OSError when the file cannot be read, UnicodeDecodeError when it is not UTF-8.
    """
    with open(path, encoding="utf-8-sig") as lines:
        return [line.strip() for line in lines if line.strip()]


def characters(texts: Iterable[str]) -> str:
    """Distinct characters of the texts, sorted by code point: the character of token i is at index i."""
    return "".join(sorted(set("".join(texts))))


class Tokenizer:
    """Text to tokens and back. A token is a character's index; BOS, the last id, begins and ends a text."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self.bos = len(characters)
        self.vocab_size = len(characters) + 1
        self._token = {character: token for token, character in enumerate(characters)}

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, between two BOS; raises ValueError for a character outside the vocabulary."""
        try:
            return [self.bos, *(self._token[character] for character in text), self.bos]
        except KeyError as error:
            raise ValueError(f"{text!r} has {error.args[0]!r}, which is not in the vocabulary") from None

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, none of which is BOS."""
        return "".join(self.characters[token] for token in tokens)
