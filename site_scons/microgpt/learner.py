"""A model in training."""

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from ctypes import c_float
from pathlib import Path
from typing import Self

import numpy as np
from mgbuild.plan.settings_table import seed_words

from microgpt import checkpoint, library
from microgpt.checkpoint import Checkpoint, Tensor
from microgpt.library import Error
from microgpt.text import Encoded, Text


class Learner:
    """A model of a text. Any number of them may live in a process; each takes calls from several threads in turn."""

    def __init__(
        self,
        text: Text,
        *,
        n_embd: int = 16,
        n_head: int = 4,
        n_layer: int = 1,
        block_size: int = 16,
        seed: int = 42,
        steps: int = 1000,
        lr: float = 0.01,
        path: Path | None = None,
    ) -> None:
        """Draw the weights and the order of documents, as microgpt.py does after random.seed(seed).

        steps: over which the learning rate falls from lr to 0; path: of another library than `scons host` builds.
        Raises Error for a shape that makes no model, or one that this machine has no memory for.
        """
        numbers = (n_embd, n_head, n_layer, block_size)
        if min(numbers) < 0 or max(numbers) > 0xFFFFFFFF:
            raise Error("n_embd, n_head, n_layer and block_size must be positive")
        if not 1 <= steps <= 10_000_000 or not lr > 0:
            raise Error(f"steps={steps} must be from 1 to 10000000, and lr={lr} above 0")
        self.text, self.steps = text, steps
        self.n_embd, self.n_head, self.n_layer, self.block_size = numbers
        words = seed_words(seed)
        recipe = library.Recipe((ctypes.c_uint32 * len(words))(*words), len(words), steps, lr)
        shape = library.Shape(*numbers, 0)
        c = library.load(path)
        self._take(c, c.microgpt_new(text.image, len(text.image), shape, recipe))

    @classmethod
    def resume(cls, text: Text, kept: Checkpoint | Path | str, path: Path | None = None) -> Self:
        """A learner that goes on from a checkpoint of this text, wherever that was written, with the same bits.

        path: as above. Raises Error for a checkpoint of another text, of weights alone, or for which there
        is no memory, CheckpointError for a file that is none.
        """
        found = kept if isinstance(kept, Checkpoint) else Checkpoint.open(kept)
        self = cls.__new__(cls)
        self.text, self.steps = text, found["steps"]
        self.n_embd, self.n_head, self.n_layer, self.block_size = (
            found[name] for name in ("n_embd", "n_head", "n_layer", "block_size")
        )
        c = library.load(path)
        self._take(c, c.microgpt_resume(text.image, len(text.image), found.data, len(found.data)))
        return self

    def checkpoint(self, weights_alone: bool = False) -> Checkpoint:
        """All that is needed to go on, or the weights alone, as a program in C would write it."""
        contents = checkpoint.WEIGHTS if weights_alone else checkpoint.STATE
        with self._lock:
            data = (ctypes.c_uint8 * self._c.microgpt_save(self._handle, contents, None, 0))()
            self._c.microgpt_save(self._handle, contents, data, len(data))
        return Checkpoint(bytes(data))

    def _take(self, c: ctypes.CDLL, handle: int | None) -> None:
        """Be the learner that the library has made; raises Error when it has made none."""
        self._c, self._handle, self._lock = c, handle, threading.Lock()
        if not self._handle:
            raise Error(self._c.microgpt_error().decode())
        weakref.finalize(self, self._c.microgpt_delete, self._handle)
        memory = library.Parameters()
        self._c.microgpt_memory(self._handle, memory)
        self._weights, self._first, self._second = (
            np.ctypeslib.as_array(address, (self.parameters,))
            for address in (memory.values, memory.first_moments, memory.second_moments)
        )

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return self._c.microgpt_parameters(self._handle)

    @property
    def checksum(self) -> str:
        """CRC-32 of the weights, as the program prints it."""
        with self._lock:
            return f"{self._c.microgpt_checksum(self._handle):08x}"

    @property
    def steps_taken(self) -> int:
        """Training steps so far."""
        return self._c.microgpt_steps_taken(self._handle)

    @property
    def effort(self) -> library.Effort:
        """What the time of the step taken last follows from on a chip, besides shape and document.

        The shares of hidden values that ReLU let pass, and of weights that Adam took care of: see
        mgbuild.plan.training_time. Raises Error before the first step.
        """
        if not self.steps_taken:
            raise Error("no step has been taken yet")
        found = library.Effort()
        with self._lock:
            self._c.microgpt_effort(self._handle, found)
        return found

    def train(
        self, steps: int | None = None, progress: Callable[[int, float], None] | None = None, every: int = 100
    ) -> np.ndarray:
        """Take so many steps, or all that are left; returns the loss of each, float32, in nats.

        progress is called after every `every` steps with the steps taken so far and the last loss. Raises Error when
        more steps are asked for than are left, or when a loss is not finite: training has diverged.
        """
        left = self.steps - self.steps_taken
        wanted = left if steps is None else steps
        if not 0 <= wanted <= left:
            raise Error(f"{wanted} steps: {left} of {self.steps} are left")
        losses = np.empty(wanted, np.float32)
        done = 0
        while done < wanted:
            chunk = min(every if progress else wanted, wanted - done)
            with self._lock:
                taken = self._c.microgpt_train(self._handle, chunk, losses[done:].ctypes.data)
            done += taken
            if taken < chunk or not np.isfinite(losses[done - 1]):
                raise Error(f"the loss of step {self.steps_taken} is not finite; lr may be too large")
            if progress:
                progress(self.steps_taken, float(losses[done - 1]))
        return losses

    def sample(self, temperature: float = 0.5) -> str:
        """A new document."""
        return self.complete("", temperature)

    def complete(self, prefix: str, temperature: float = 0.5) -> str:
        """A new document that begins with the prefix, block_size characters at most.

        Raises ValueError for a character outside the alphabet, too long a prefix, or a temperature of 0 or less.
        """
        given = self._prefix(prefix, temperature, self.block_size)
        tokens = (ctypes.c_uint8 * self.block_size)(*given)
        with self._lock:
            length = self._c.microgpt_complete(self._handle, tokens, len(given), temperature)
        return self.text.decode(tokens[:length])

    def next(self, prefix: str = "", temperature: float = 1.0) -> dict[str, float]:
        """Probability of each character to follow the prefix, and of the end, under "". Raises as `complete`."""
        given = self._prefix(prefix, temperature, self.block_size - 1)
        found = np.empty(self.text.vocab_size, np.float32)
        with self._lock:
            self._c.microgpt_next(self._handle, given, len(given), temperature, found.ctypes.data)
        return dict(zip([*self.text.characters, ""], map(float, found), strict=True))

    def loss(self, document: str) -> np.ndarray:
        """Loss of each position of a document, float32, in nats: of its characters in turn, then of its end.

        Of one longer than block_size the first block_size positions count. Raises ValueError as `complete`.
        """
        tokens = self.text.encode(document)
        losses = np.empty(min(len(tokens) + 1, self.block_size), np.float32)
        with self._lock:
            self._c.microgpt_loss(self._handle, tokens, len(tokens), losses.ctypes.data)
        return losses

    def losses(self, documents: Encoded) -> np.ndarray:
        """What `loss` says of each of many documents, added up: float32, in nats."""
        found = np.empty(len(documents), np.float32)
        with self._lock:
            offsets = documents.offsets.buffer_info()[0]
            self._c.microgpt_losses(self._handle, documents.tokens, offsets, len(documents), found.ctypes.data)
        return found

    def gradient(self, document: str) -> tuple[float, dict[str, np.ndarray]]:
        """Mean loss of a document and its gradient by every weight; changes nothing. Raises as `complete`."""
        tokens = self.text.encode(document)
        flat = np.empty(self.parameters, np.float32)
        loss = c_float()
        with self._lock:
            if not self._c.microgpt_gradient(self._handle, tokens, len(tokens), flat.ctypes.data, ctypes.byref(loss)):
                raise Error(self._c.microgpt_error().decode())
        return loss.value, self._by_name(flat)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Copies of the weights, float32 [out, in], under microgpt.py's names."""
        with self._lock:
            return self._by_name(self._weights.copy())

    @weights.setter
    def weights(self, values: Mapping[str, np.ndarray]) -> None:
        """Replace the weights; the moments stay. Raises ValueError unless names and shapes are the model's."""
        wanted = {tensor.name: (tensor.rows, tensor.columns) for tensor in self.tensors()}
        given = {name: np.shape(value) for name, value in values.items()}
        if given != wanted:
            wrong = sorted(name for name in {**given, **wanted} if given.get(name) != wanted.get(name))
            raise ValueError(f"these weights are not a model of this shape: {', '.join(wrong)}")
        with self._lock:
            for tensor in self.tensors():
                end = tensor.offset + tensor.rows * tensor.columns
                self._weights[tensor.offset : end] = np.asarray(values[tensor.name], np.float32).ravel()
            self._c.microgpt_weights_changed(self._handle)

    def tensors(self) -> Iterator[Tensor]:
        """The weight matrices in the order of memory, files and checksum: that of microgpt.py's state_dict."""
        sizes = {"n_layer": self.n_layer, "block_size": self.block_size, "vocab_size": self.text.vocab_size}
        return checkpoint.tensors(n_embd=self.n_embd, **sizes)

    def _prefix(self, prefix: str, temperature: float, most: int) -> bytes:
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} must be above 0")
        if len(prefix) > most:
            raise ValueError(
                f"a prefix of {len(prefix)} characters is longer than {most}, for block_size={self.block_size}"
            )
        return self.text.encode(prefix)

    def _by_name(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        return {
            tensor.name: flat[tensor.offset : tensor.offset + tensor.rows * tensor.columns].reshape(
                tensor.rows, tensor.columns
            )
            for tensor in self.tensors()
        }
