"""What both references share: the model's shape, the order of its parameters, and microgpt.py's constants."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

RMSNORM_EPSILON = 1e-5
ADAM_BETA1 = 0.85
ADAM_BETA2 = 0.99
ADAM_EPSILON = 1e-8
INITIAL_DEVIATION = 0.08  # standard deviation of every parameter before training


class Tensor(NamedTuple):
    """One weight matrix: rows x columns, row-major, `offset` elements into the parameter vector."""

    name: str
    rows: int
    columns: int
    offset: int


@dataclass(frozen=True)
class Shape:
    """Sizes that fix every array of the model; vocab_size counts the characters and BOS.

    Raises ValueError unless all are positive integers, n_head divides n_embd and vocab_size is at least 2.
    """

    vocab_size: int
    n_layer: int = 1
    n_embd: int = 16
    n_head: int = 4
    block_size: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{field.name} is {value!r} and must be a positive integer")
        if self.vocab_size < 2:
            raise ValueError("vocab_size is 1 and must count at least one character and BOS")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} is not divisible by n_head {self.n_head}")

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.n_embd // self.n_head

    @property
    def parameter_count(self) -> int:
        """Length of the parameter vector."""
        *_, last = self.tensors()
        return last.offset + last.rows * last.columns

    def tensors(self) -> Iterator[Tensor]:
        """The weight matrices in the order of the parameter vector: that of microgpt.py's state_dict."""
        vocab, embd = self.vocab_size, self.n_embd
        sizes = [("wte", vocab, embd), ("wpe", self.block_size, embd), ("lm_head", vocab, embd)]
        for layer in range(self.n_layer):
            sizes += [(f"layer{layer}.attn_{name}", embd, embd) for name in ("wq", "wk", "wv", "wo")]
            sizes += [(f"layer{layer}.mlp_fc1", 4 * embd, embd), (f"layer{layer}.mlp_fc2", embd, 4 * embd)]
        offset = 0
        for name, rows, columns in sizes:
            yield Tensor(name, rows, columns, offset)
            offset += rows * columns

    def split(self, tokens: list[int]) -> tuple[list[int], list[int]]:
        """Inputs and targets of a document that begins and ends with BOS, min(block_size, len - 1) of each.

        Raises ValueError for fewer than two tokens.
        """
        if len(tokens) < 2:
            raise ValueError(f"a document of {len(tokens)} tokens has nothing to predict")
        count = min(self.block_size, len(tokens) - 1)
        return tokens[:count], tokens[1 : count + 1]


def initial_parameters(shape: Shape, rng: random.Random) -> list[float]:
    """Parameter vector before training: one rng.gauss(0, 0.08) for each, in order."""
    return [rng.gauss(0, INITIAL_DEVIATION) for _ in range(shape.parameter_count)]
