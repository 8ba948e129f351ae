"""libmicrogpt.so (src_c/library/microgpt.h), loaded, with the types of its functions."""

import ctypes
import os
from ctypes import POINTER, Structure, c_char_p, c_float, c_int32, c_uint32, c_void_p
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "build" / "host" / "libmicrogpt.so"
ENVIRONMENT = "MICROGPT_LIBRARY"  # names another library than the one `scons host` builds by default

MOST_BANKS = 4
EFFORT_FACTORS, CAREFUL_AFTER = 6, 900  # src_c/core/training_time.h
REDUCIBLE = ("n_embd", "n_layer", "block_size", "steps")  # enum reducible of src_c/core/plan.h


class Error(Exception):
    """What the program in C refuses: its own sentence."""


class Shape(Structure):
    """struct model_shape of src_c/core/shape.h."""

    _fields_ = [(name, c_uint32) for name in ("n_embd", "n_head", "n_layer", "block_size", "vocab_size")]


class Recipe(Structure):
    """struct recipe of src_c/core/learner.h."""

    _fields_ = [
        ("seed", POINTER(c_uint32)),
        ("seed_words", c_uint32),
        ("steps", c_uint32),
        ("learning_rate", c_float),
    ]


class Request(Structure):
    """struct plan_request of src_c/core/plan.h."""

    _fields_ = [("shape", Shape), *((name, c_uint32) for name in ("documents", "steps", "generates"))]


class Place(Structure):
    """struct place of src_c/core/plan.h."""

    _fields_ = [("bank", c_uint32), ("offset", c_uint32), ("bytes", c_uint32)]


class Parameters(Structure):
    """struct parameters of src_c/core/model.h."""

    _fields_ = [("values", POINTER(c_float)), ("first_moments", POINTER(c_float)), ("second_moments", POINTER(c_float))]


class Positions(Structure):
    """struct positions of src_c/core/training_time.h."""

    _fields_ = [(name, c_float) for name in ("count", "squared")]


class Effort(Structure):
    """struct effort of src_c/core/training_time.h."""

    _fields_ = [(name, c_float) for name in ("active", "careful")]


def plan_structure(arrays: int, purposes: int) -> type[Structure]:
    """struct microgpt_plan of src_c/library/microgpt.h, for as many arrays and purposes as the library names."""

    class Plan(Structure):
        _fields_ = [
            ("place", Place * arrays),
            ("missing", c_uint32),
            ("purposes", c_uint32 * purposes),
            ("extents", c_uint32 * MOST_BANKS),
            ("reduced", c_uint32 * len(REDUCIBLE)),
        ]

    return Plan


@cache
def load(path: Path | None = None) -> ctypes.CDLL:
    """The library at `path`, or the one that `scons host` builds. Raises OSError, saying how to build it."""
    chosen = path or Path(os.environ.get(ENVIRONMENT) or LIBRARY)
    if not chosen.is_file():
        raise OSError(f"{chosen} is not built yet: ./sconsw host, or {ENVIRONMENT}=PATH for another")
    library = ctypes.CDLL(str(chosen))
    timed = [POINTER(Shape), POINTER(Positions), POINTER(Effort)]
    signatures = {
        "microgpt_error": (c_char_p, []),
        "microgpt_array_name": (c_char_p, [c_uint32]),
        "microgpt_purpose_name": (c_char_p, [c_uint32]),
        "microgpt_array_purpose": (c_uint32, [c_uint32]),
        "microgpt_plan": (c_int32, [POINTER(Request), POINTER(c_uint32), c_uint32, c_void_p]),
        "microgpt_positions": (None, [c_void_p, c_uint32, c_uint32, POINTER(Positions)]),
        "microgpt_effort_of_run": (None, [POINTER(Shape), POINTER(Positions), c_uint32, c_float, POINTER(Effort)]),
        "microgpt_effort_factors": (None, [POINTER(Shape), POINTER(Positions), c_uint32, c_float, c_void_p]),
        "microgpt_training_cycles": (c_float, [*timed, c_uint32]),
        "microgpt_training_seconds": (
            c_float,
            [POINTER(Shape), POINTER(Positions), c_uint32, c_float, c_uint32, c_float],
        ),
        "microgpt_training_terms": (None, [*timed, c_uint32, c_void_p]),
        "microgpt_training_term_name": (c_char_p, [c_uint32]),
        "microgpt_new": (c_void_p, [c_char_p, c_uint32, POINTER(Shape), POINTER(Recipe)]),
        "microgpt_resume": (c_void_p, [c_char_p, c_uint32, c_char_p, c_uint32]),
        "microgpt_save": (c_uint32, [c_void_p, c_uint32, c_void_p, c_uint32]),
        "microgpt_delete": (None, [c_void_p]),
        "microgpt_parameters": (c_uint32, [c_void_p]),
        "microgpt_vocabulary": (c_uint32, [c_void_p]),
        "microgpt_checksum": (c_uint32, [c_void_p]),
        "microgpt_steps_taken": (c_uint32, [c_void_p]),
        "microgpt_memory": (None, [c_void_p, POINTER(Parameters)]),
        "microgpt_weights_changed": (None, [c_void_p]),
        "microgpt_train": (c_uint32, [c_void_p, c_uint32, c_void_p]),
        "microgpt_effort": (None, [c_void_p, POINTER(Effort)]),
        "microgpt_complete": (c_uint32, [c_void_p, c_void_p, c_uint32, c_float]),
        "microgpt_next": (None, [c_void_p, c_char_p, c_uint32, c_float, c_void_p]),
        "microgpt_loss": (c_float, [c_void_p, c_char_p, c_uint32, c_void_p]),
        "microgpt_losses": (None, [c_void_p, c_char_p, c_void_p, c_uint32, c_void_p]),
        "microgpt_gradient": (c_int32, [c_void_p, c_char_p, c_uint32, c_void_p, POINTER(c_float)]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def names(function: object) -> list[str]:
    """What a function from an index to a name or NULL has to say."""
    found: list[str] = []
    while (name := function(len(found))) is not None:  # type: ignore[operator]
        found.append(name.decode())
    return found
