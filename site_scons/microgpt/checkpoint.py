"""Checkpoints as files: the format of src_c/core/checkpoint.h, with its parts as NumPy arrays, and as safetensors."""

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mgbuild.plan import build_folder
from mgbuild.plan.shape import LIMITS

MAGIC, VERSION = int.from_bytes(b"MGCP", "little"), 1
WEIGHTS, STATE = 1, 2
SHAPE = ("n_embd", "n_head", "n_layer", "block_size", "vocab_size")

# struct checkpoint_header of src_c/core/checkpoint.h.
HEADER = np.dtype(
    [
        *((name, "<u4") for name in ("magic", "version", "bytes", "contents", "sequence", "body_crc32", "text_crc32")),
        *((name, "<u4") for name in ("documents", *SHAPE, "steps", "step")),
        ("lr", "<f4"),
        ("document", "<u4"),
        ("schedule", "<f4", 5),
        ("random_next", "<u4"),
        ("has_gauss", "<u4"),
        ("gauss", "<f4"),
        ("seed_words", "<u4"),
        *((name, "<u4") for name in ("options_crc32", "seed_from_chip", "samples", "log_every")),
        ("temperature", "<f4"),
        ("samples_drawn", "<u4"),
        *((name, "<f4") for name in ("first_loss", "last_losses")),
        ("aside", "<u4", 4),
        ("reserved", "<u4", 25),
        ("crc32", "<u4"),
    ]
)
_HEADER_BYTES = 256
GENERATOR_WORDS = 624


class Tensor(NamedTuple):
    """One weight matrix, as microgpt.py's state_dict names it."""

    name: str
    rows: int
    columns: int
    offset: int  # elements from the start of the parameters


def tensors(*, n_embd: int, n_layer: int, block_size: int, vocab_size: int) -> Iterator[Tensor]:
    """The weight matrices in the order of memory, files and checksum: that of microgpt.py's state_dict."""
    sizes = [("wte", vocab_size, n_embd), ("wpe", block_size, n_embd), ("lm_head", vocab_size, n_embd)]
    for layer in range(n_layer):
        sizes += [(f"layer{layer}.attn_{name}", n_embd, n_embd) for name in ("wq", "wk", "wv", "wo")]
        sizes += [(f"layer{layer}.mlp_fc1", 4 * n_embd, n_embd), (f"layer{layer}.mlp_fc2", n_embd, 4 * n_embd)]
    offset = 0
    for name, rows, columns in sizes:
        yield Tensor(name, rows, columns, offset)
        offset += rows * columns


class CheckpointError(ValueError):
    """Bytes that are no checkpoint, or arrays that are no model; the message says why."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint; arrays are read-only views of its bytes."""

    data: bytes

    def __post_init__(self) -> None:
        """Raises CheckpointError unless `data` is whole, and each number one that the programs in C take."""
        if len(self.data) < _HEADER_BYTES or self["magic"] != MAGIC:
            raise CheckpointError("it is no checkpoint")
        if self["crc32"] != zlib.crc32(self.data[: _HEADER_BYTES - 4]):
            raise CheckpointError("the checkpoint's header is damaged")
        if self["version"] != VERSION:
            raise CheckpointError(f"the checkpoint is of version {self['version']}, and {VERSION} is known here")
        wrong = [name for name in SHAPE if not 1 <= self[name] <= LIMITS[name]]
        if wrong or self["n_embd"] % self["n_head"] or self["contents"] not in (WEIGHTS, STATE):
            raise CheckpointError("the checkpoint's header makes no model")
        if self["bytes"] != _HEADER_BYTES + sum(padded for _, padded in self._lengths().values()):
            raise CheckpointError("the checkpoint's header is wrong: its parts do not add up to its size")
        if self["bytes"] != len(self.data):
            raise CheckpointError(f"the checkpoint has {len(self.data)} bytes of {self['bytes']}")
        if self["body_crc32"] != zlib.crc32(self.data[_HEADER_BYTES:]):
            raise CheckpointError("the checkpoint is damaged: its checksum is wrong")

    @classmethod
    def open(cls, path: Path | str) -> "Checkpoint":
        """From a file; raises CheckpointError, naming it, for what is none, and OSError."""
        try:
            return cls(Path(path).read_bytes())
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None

    @classmethod
    def of_weights(cls, weights: Mapping[str, np.ndarray], alphabet: str, n_head: int, **known: Any) -> "Checkpoint":
        """The lighter form: weights under microgpt.py's names and the characters of their tokens.

        known: of the other numbers of the header, those that are known. Raises CheckpointError for arrays that make no
        model.
        """
        shape = _shape_of(weights, n_head)
        if len(alphabet) + 1 != shape["vocab_size"] or sorted(set(alphabet)) != list(alphabet):
            raise CheckpointError("the alphabet must have a character for each row of wte but the last, ascending")
        header = np.zeros((), HEADER)
        values = {"documents": 1, "steps": 1, "lr": 0.01, **known, **shape, "magic": MAGIC, "version": VERSION}
        for name, value in {**values, "contents": WEIGHTS}.items():
            header[name] = value
        flat = np.empty(sum(array.size for array in weights.values()), "<f4")
        for tensor in tensors(**_sizes(shape)):
            flat[tensor.offset : tensor.offset + tensor.rows * tensor.columns] = np.ravel(weights[tensor.name])
        body = flat.tobytes() + np.array([ord(character) for character in alphabet], "<u4").tobytes()
        return cls(_with_header(header, body))

    def __getitem__(self, name: str) -> Any:
        """A number of the header, or an array of numbers."""
        field = np.frombuffer(self.data, HEADER, 1)[0][name]
        if field.dtype == np.float32 and field.ndim == 0:
            return float(str(field))  # the shortest decimal that means it, as options are typed
        return field.item() if field.ndim == 0 else field

    @property
    def has_state(self) -> bool:
        """Whether training can go on from it; else it has weights alone."""
        return self["contents"] == STATE

    @property
    def shape(self) -> dict[str, int]:
        """The five numbers of the model's shape."""
        return {name: self[name] for name in SHAPE}

    @property
    def alphabet(self) -> str:
        """The characters in the order of their tokens."""
        return "".join(map(chr, self._part("alphabet", "<u4")))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """float32 [out, in] under microgpt.py's names."""
        return self._by_name("weights")

    @property
    def moments(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Adam's first and second moments, by name, in the unit schedule[0]; empty without state."""
        if not self.has_state:
            return {}, {}
        return self._by_name("first_moments"), self._by_name("second_moments")

    @property
    def order(self) -> np.ndarray:
        """Indices of documents in the order of training; empty without state."""
        return self._part("order", "<u2")

    @property
    def generator(self) -> np.ndarray:
        """MT19937's words; empty without state."""
        return self._part("generator", "<u4")

    @property
    def seed(self) -> int:
        """The seed, without its sign; 0 without state."""
        return int.from_bytes(self._part("seed", "<u4").tobytes(), "little")

    @property
    def checksum(self) -> str:
        """CRC-32 of the weights, as the program prints it."""
        return f"{zlib.crc32(self._part('weights', '<f4').tobytes()):08x}"

    def with_numbers(self, **numbers: float) -> "Checkpoint":
        """The same but for these numbers of the header. Raises CheckpointError for what the programs in C refuse."""
        header = np.frombuffer(self.data, HEADER, 1)[0].copy()
        for name, value in numbers.items():
            header[name] = value
        return Checkpoint(_with_header(header, self.data[_HEADER_BYTES:]))

    def weights_alone(self) -> "Checkpoint":
        """The lighter form of it."""
        known = {name: self[name] for name in ("text_crc32", "documents", "steps", "step", "lr")}
        return self.of_weights(self.weights, self.alphabet, self["n_head"], **known)

    def write(self, path: Path | str) -> None:
        """Write it to a file, which has its old content until all is written. Raises OSError."""
        build_folder.write(Path(path), self.data)

    def write_safetensors(self, path: Path | str) -> None:
        """Write the weights as safetensors, with the shape and the alphabet as metadata. Raises OSError."""
        from safetensors.numpy import save  # here, so that what needs none of it needs no package

        metadata = {**{name: str(value) for name, value in self.shape.items()}, "alphabet": self.alphabet}
        build_folder.write(Path(path), save(dict(self.weights), metadata))

    @classmethod
    def of_safetensors(cls, path: Path | str) -> "Checkpoint":
        """From a file of `write_safetensors`; raises CheckpointError for one that is none."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(os.fspath(path), "numpy") as file:
                metadata = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except SafetensorError as error:
            raise CheckpointError(f"{path}: {error}") from None
        if not {"alphabet", "n_head"} <= metadata.keys():
            raise CheckpointError(f"{path}: its metadata name no alphabet and no n_head")
        return cls.of_weights(weights, metadata["alphabet"], int(metadata["n_head"]))

    def _lengths(self) -> dict[str, tuple[int, int]]:
        """Bytes of each part, and the same in whole words, in order."""
        parameters = sum(tensor.rows * tensor.columns for tensor in tensors(**_sizes(self.shape)))
        lengths = {"weights": 4 * parameters, "alphabet": 4 * (self["vocab_size"] - 1)}
        if self.has_state:
            lengths |= {"first_moments": 4 * parameters, "second_moments": 4 * parameters}
            lengths |= {"generator": 4 * GENERATOR_WORDS, "order": 2 * min(self["steps"], self["documents"])}
            lengths |= {"seed": 4 * self["seed_words"]}
        return {name: (length, length + -length % 4) for name, length in lengths.items()}

    def _part(self, name: str, kind: str) -> np.ndarray:
        at = _HEADER_BYTES
        for part, (length, padded) in self._lengths().items():
            if part == name:
                return np.frombuffer(self.data, kind, length // np.dtype(kind).itemsize, at)
            at += padded
        return np.empty(0, kind)

    def _by_name(self, part: str) -> dict[str, np.ndarray]:
        flat = self._part(part, "<f4")
        return {
            tensor.name: flat[tensor.offset : tensor.offset + tensor.rows * tensor.columns].reshape(
                tensor.rows, tensor.columns
            )
            for tensor in tensors(**_sizes(self.shape))
        }


def _sizes(shape: Mapping[str, int]) -> dict[str, int]:
    return {name: shape[name] for name in SHAPE if name != "n_head"}


def _shape_of(weights: Mapping[str, np.ndarray], n_head: int) -> dict[str, int]:
    """The shape of a model of these weights; raises CheckpointError when they make none."""
    layers = len([name for name in weights if name.endswith(".attn_wq")])
    if not {"wte", "wpe"} <= weights.keys() or np.ndim(weights["wte"]) != 2:
        raise CheckpointError("these arrays are no model: wte or wpe is missing")
    vocab, width = np.shape(weights["wte"])
    shape = {"n_embd": width, "n_head": n_head, "n_layer": layers, "block_size": len(weights["wpe"])}
    shape["vocab_size"] = vocab
    wanted = {tensor.name: (tensor.rows, tensor.columns) for tensor in tensors(**_sizes(shape))}
    given = {name: np.shape(value) for name, value in weights.items()}
    wrong = sorted(name for name in {**given, **wanted} if given.get(name) != wanted.get(name))
    if wrong or n_head < 1 or width % n_head:
        raise CheckpointError(f"these arrays are no model with n_head={n_head}: {', '.join(wrong) or 'n_embd'}")
    return shape


def _with_header(header: np.ndarray, body: bytes) -> bytes:
    header["bytes"], header["body_crc32"] = _HEADER_BYTES + len(body), zlib.crc32(body)
    header["crc32"] = zlib.crc32(header.tobytes()[: _HEADER_BYTES - 4])
    return header.tobytes() + body
