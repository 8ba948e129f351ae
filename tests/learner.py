"""The C learner through libmicrogpt.so: one shape, one data set, driven from Python as src_c/app/main.c drives it."""

import ctypes
from collections.abc import Callable, Sequence
from ctypes import POINTER, Structure, c_float, c_uint8, c_uint32, c_void_p
from pathlib import Path

import numpy as np

from python_ref.model import Shape

TRAINER_BYTES = 200_000  # more than struct trainer takes at any shape of the tests


class AdamStep(Structure):
    """struct adam_step of src_c/kernels/kernels.h."""

    _fields_ = [
        (name, c_float)
        for name in ("gradient_scale", "first_decay", "rate", "epsilon", "scaled_rate", "lifted_epsilon", "exact_below")
    ]


class Learner:
    """One loaded library; its arrays are static, so two objects of the same library share them."""

    def __init__(self, library: ctypes.CDLL, shape: Shape, dataset: Path) -> None:
        self.shape = shape
        self._library = library
        library.trainer_begin.argtypes = [c_void_p, c_void_p, c_void_p, c_uint32]
        library.trainer_step.restype = c_float
        library.trainer_sample.argtypes = [c_void_p, c_void_p, c_float]
        library.trainer_sample.restype = c_uint32
        library.cross_entropy.restype = c_float
        library.cross_entropy.argtypes = [c_void_p, c_uint32, c_float]
        library.backward.argtypes = [c_void_p, c_uint32, POINTER(AdamStep)]
        self._trainer = ctypes.create_string_buffer(TRAINER_BYTES)
        image = dataset.read_bytes()
        self._image = ctypes.create_string_buffer(image, len(image))
        self._dataset = ctypes.create_string_buffer(64)
        assert library.dataset_open(self._image, len(image), self._dataset) == 0
        memory = (c_float * (3 * shape.parameter_count)).in_dll(library, "arena")
        self.weights, self.first_moment, self.second_moment = np.frombuffer(memory, np.float32).reshape(3, -1)

    def begin(self, seed: int) -> None:
        """Shuffle the documents and draw the weights for random.seed(seed)."""
        value = abs(seed)
        words = [value >> (32 * i) & 0xFFFFFFFF for i in range(max(1, (value.bit_length() + 31) // 32))]
        self._library.trainer_begin(self._trainer, self._dataset, (c_uint32 * len(words))(*words), len(words))

    def step(self) -> float:
        """Take one training step; returns its loss in nats."""
        return self._library.trainer_step(self._trainer)

    def sample(self, temperature: float) -> list[int]:
        """Generate one document; returns its tokens."""
        tokens = (c_uint8 * self.shape.block_size)()
        return list(tokens[: self._library.trainer_sample(self._trainer, tokens, temperature)])

    def gradients(self, parameters: np.ndarray, tokens: Sequence[int]) -> tuple[float, np.ndarray]:
        """Loss and gradient at these parameters, read from the first moment of a first Adam step of rate zero."""
        inputs, targets = self.shape.split(list(tokens))
        self.weights[:] = parameters
        self.first_moment[:] = self.second_moment[:] = 0
        count = len(inputs)
        input_bytes = (c_uint8 * count)(*inputs)
        self._library.forward(input_bytes, 0, count)
        loss = self._library.cross_entropy((c_uint8 * count)(*targets), count, 1.0)
        self._library.backward(input_bytes, count, ctypes.byref(AdamStep(exact_below=float("inf"), epsilon=1.0)))
        assert np.array_equal(self.weights, parameters), "a step of rate zero must leave the weights alone"
        return loss, self.first_moment.copy()


def options(shape: Shape) -> dict[str, int]:
    """The build options of a shape; its vocabulary comes from the data set."""
    return {name: getattr(shape, name) for name in ("n_embd", "n_head", "n_layer", "block_size")}


LoadLearner = Callable[[Shape, Path], Learner]
