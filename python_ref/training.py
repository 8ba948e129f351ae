"""Training and sampling as microgpt.py does them, for either reference: what is drawn at random, and when."""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from python_ref.corpus import Tokenizer, characters
from python_ref.model import Shape, initial_parameters


@dataclass(frozen=True)
class Recipe:
    """The settings of a run, by default microgpt.py's; raises ValueError for one that makes no sense.

    stop_after ends training after so many steps, while the learning rate still falls as if to reach `steps`.
    """

    seed: int = 42
    steps: int = 1000
    learning_rate: float = 0.01
    temperature: float = 0.5
    samples: int = 20
    stop_after: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps} and must be at least 1")
        if self.samples < 0:
            raise ValueError(f"samples is {self.samples} and must not be negative")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature} and must be above 0")
        if self.stop_after is not None and not 0 <= self.stop_after <= self.steps:
            raise ValueError(f"stop_after is {self.stop_after} and must be from 0 to steps, {self.steps}")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0: falls linearly and would be 0 at step number `steps`."""
        return self.learning_rate * (1 - step / self.steps)


@dataclass
class Run:
    """What a run gave: the loss of each step in nats, the parameter vector at the end, the sampled texts."""

    losses: list[float] = field(default_factory=list)
    parameters: Sequence[float] = ()
    samples: list[str] = field(default_factory=list)


class Learner(Protocol):
    """A model in training, as each reference implements it."""

    @property
    def parameters(self) -> Iterable[float]:
        """All of them, as they are now."""

    def learn(self, tokens: list[int], step: int, rate: float) -> float:
        """Take Adam step number `step`, counted from 0, on one document; returns its loss before the step."""

    def predict(self, tokens: list[int]) -> Sequence[float]:
        """Logits of the token that follows `tokens`; 1 to block_size of them, the first BOS."""


def train(
    learner: Callable[[Shape, Sequence[float]], Learner],
    documents: Sequence[str],
    shape: Shape,
    recipe: Recipe,
    on_step: Callable[[int, float], None] | None = None,
) -> Run:
    """Train a model on the documents from a seed, then sample from it.

    on_step, when given, is called after each step with its number, counted from 0, and its loss.
    Raises ValueError when there is no document or shape.vocab_size is not that of the documents.
    """
    tokenizer = Tokenizer(characters(documents))
    if not documents or shape.vocab_size != tokenizer.vocab_size:
        raise ValueError(
            f"{len(documents)} documents have a vocabulary of {tokenizer.vocab_size}, "
            f"the shape is for one of {shape.vocab_size}"
        )
    rng = random.Random(recipe.seed)
    shuffled = list(documents)
    rng.shuffle(shuffled)
    model = learner(shape, initial_parameters(shape, rng))

    run = Run()
    for step in range(recipe.steps if recipe.stop_after is None else recipe.stop_after):
        tokens = tokenizer.encode(shuffled[step % len(shuffled)])
        loss = model.learn(tokens, step, recipe.rate(step))
        run.losses.append(loss)
        if on_step is not None:
            on_step(step, loss)
    run.parameters = list(model.parameters)
    for _ in range(recipe.samples):
        tokens = list(sample(model, shape, rng, recipe.temperature))
        run.samples.append(tokenizer.decode(tokens))
    return run


def sample(model: Learner, shape: Shape, rng: random.Random, temperature: float) -> Iterator[int]:
    """Tokens of one document drawn from the model, BOS left out: at most block_size of them."""
    bos = shape.vocab_size - 1
    tokens = [bos]
    while len(tokens) <= shape.block_size:
        scaled = [logit / temperature for logit in model.predict(tokens)]
        greatest = max(scaled)
        exponentials = [math.exp(logit - greatest) for logit in scaled]
        total = sum(exponentials)
        probabilities = [exponential / total for exponential in exponentials]
        token = rng.choices(range(shape.vocab_size), weights=probabilities)[0]
        if token == bos:
            return
        tokens.append(token)
        yield token
