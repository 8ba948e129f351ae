"""How good a model is: its loss on documents that it was not trained on, and how sure that is.

The loss per character is what all characters of the documents cost, in nats, divided by their number; the end of a
document is one of them. Documents are drawn, not characters, so spreads are over documents (the normal interval of a
ratio estimator: Cochran, Sampling Techniques, chapter 6).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from microgpt import Learner, Text
from microgpt.text import Encoded

from mgbuild.tune.split import Frequencies

NORMAL = 1.96  # standard errors on each side of a 95 % interval
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # the same from so many runs, by Student's t


@dataclass(frozen=True)
class Estimate:
    """A loss per character, or a difference of two, in nats; margin: half of its 95 % interval."""

    value: float
    margin: float

    @property
    def is_sure(self) -> bool:
        """Whether the interval is all on one side of zero."""
        return abs(self.value) > self.margin

    def __str__(self) -> str:
        return f"{self.value:.4f} ± {self.margin:.4f}"


class HeldOut:
    """Documents that models are scored on."""

    def __init__(self, text: Text, documents: Sequence[str], frequencies: Frequencies) -> None:
        """text: by whose alphabet the models know characters."""
        self._documents, self._text, self._frequencies = documents, text, frequencies
        self._encoded: dict[int, Encoded] = {}
        self._beyond: dict[int, np.ndarray] = {}
        self.symbols = symbols(documents)

    def losses(self, learner: Learner, count: int | None = None) -> np.ndarray:
        """Nats of each of the first `count` documents, or of all, float64."""
        count = len(self._documents) if count is None else min(count, len(self._documents))
        if count not in self._encoded:
            self._encoded[count] = self._text.encode_all(self._documents[:count])
        block = learner.block_size
        if block not in self._beyond:
            self._beyond[block] = np.array([self._frequencies.beyond(each, block) for each in self._documents])
        return learner.losses(self._encoded[count]) + self._beyond[block][:count]


def symbols(documents: Sequence[str]) -> np.ndarray:
    """How many losses each document has: one for a character, one for its end; float64."""
    return np.array([len(document) + 1 for document in documents], np.float64)


def mean(losses: np.ndarray, symbols: np.ndarray) -> Estimate:
    """Loss per character of documents that cost so many nats each and have so many symbols; two documents or more."""
    count, total = len(losses), symbols.sum()
    value = losses.sum() / total
    residual = losses - value * symbols
    return Estimate(float(value), float(NORMAL * np.sqrt(count / (count - 1) * np.square(residual).sum()) / total))


def gain(worse: np.ndarray, better: np.ndarray, symbols: np.ndarray) -> Estimate:
    """How many nats per character one recipe saves over another, document by document.

    worse, better: [runs, documents], of the same seeds in turn. The margin counts what chance there is in the documents
    and what there is in the seeds.
    """
    saved = worse - better
    documents = mean(saved.mean(axis=0), symbols)
    by_seed = saved.sum(axis=1) / symbols.sum()
    runs = len(by_seed)
    seeds = STUDENT[runs] * by_seed.std(ddof=1) / np.sqrt(runs)
    return Estimate(documents.value, float(np.hypot(documents.margin, seeds)))
