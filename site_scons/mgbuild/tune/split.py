"""A text in three parts, none of which has a line of another: to train on, to search by, to judge by."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from mgbuild.errors import UserError

HELD_OUT = 10  # of so many different documents one is for validation, and one for the test
LEAST_DOCUMENTS = 2 * HELD_OUT  # two in each held-out part: a spread needs two


@dataclass(frozen=True)
class Split:
    """The three parts. A line that a text repeats is in one part alone: as often as in the text where it is trained on,
    once where it is held out."""

    training: tuple[str, ...]  # in the order of the text
    validation: tuple[str, ...]
    test: tuple[str, ...]
    alphabet: str  # of the whole text, ascending
    repeated: int  # lines of the text that an earlier one equals


def split(documents: list[str], seed: int, name: str) -> Split:
    """The parts of a text, which the seed decides; raises UserError, by its name, where it is too small to part."""
    different = list(dict.fromkeys(documents))
    if len(different) < LEAST_DOCUMENTS:
        raise UserError(
            f"{name} has {len(different)} different documents, too few to hold any out: "
            f"a tenth searches and a tenth judges, which takes {LEAST_DOCUMENTS}"
        )
    shuffled = random.Random(seed).sample(different, len(different))
    held_out = len(different) // HELD_OUT
    test, validation = shuffled[:held_out], shuffled[held_out : 2 * held_out]
    away = {*test, *validation}
    return Split(
        training=tuple(document for document in documents if document not in away),
        validation=tuple(validation),
        test=tuple(test),
        alphabet="".join(sorted(set("".join(different)))),
        repeated=len(documents) - len(different),
    )


class Frequencies:
    """What anyone can guess who knows how often each character is in the training part, and how often a document ends.

    A model says nothing of what lies beyond its block_size; there this guess takes its place, so that every model is
    scored on every character, and a short block costs what it leaves out.
    """

    def __init__(self, training: Sequence[str], alphabet: str) -> None:
        counts = Counter("".join(training))
        total = counts.total() + len(training) + len(alphabet) + 1
        # One more of each than there are: what was never seen may come.
        self._end = (len(training) + 1) / total
        self._share = {character: (counts[character] + 1) / total for character in alphabet}

    def beyond(self, document: str, block_size: int) -> float:
        """Nats of the symbols of a document, its end the last of them, from position block_size on."""
        if len(document) < block_size:
            return 0.0
        return -sum(map(log, [*(self._share[character] for character in document[block_size:]), self._end]))
