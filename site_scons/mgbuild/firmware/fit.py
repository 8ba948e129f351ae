"""Which shapes of the model fit the chip, computed from what one linked firmware takes besides its arrays."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mgbuild.firmware.memory import Report
from mgbuild.plan.shape import LIMITS, Shape

FLOAT = 4
GRADIENT_ROWS = 12  # core/model.h: GRADIENT_ROW_FLOATS, in rows of n_embd
STACK_VARIATION = 512  # the stack follows the code, and that the shape, by less than this
ORDER_ENTRY = 2  # bytes for each document that training reaches
ALIGNMENT = 16  # of what follows the order in memory: shrinking it may move nothing by less than this


@dataclass(frozen=True)
class Fit:
    """A shape and the static RAM it is predicted to take, in bytes."""

    shape: Shape
    bytes: int


def arena_bytes(shape: Shape, num_docs: int) -> int:
    """Size of union arena (core/model.h): the training, or the shuffle if that is larger."""
    n, block, vocab = shape.n_embd, shape.block_size, shape.vocab_size
    rows = GRADIENT_ROWS * n
    layer = block * (10 * n + 2 + shape.n_head * block)  # inputs, qkv, mixed, hidden; two scales; attention
    hidden = 4 * n * block
    activations = block + shape.n_layer * layer + max(block * n, block * block, rows) + max(block * vocab, block * n)
    gradients = block * n + max(rows, hidden)
    training = FLOAT * (3 * shape.parameters + activations + gradients)
    return max(training, -(-2 * num_docs // FLOAT) * FLOAT)


def model(report: Report) -> tuple[Shape, int]:
    """Shape of the model that a firmware trains, and the number of documents it learns from."""
    options, text = report.made_from["options"], report.made_from["text"]
    sizes = {name: options[name] for name in ("n_embd", "n_head", "n_layer", "block_size")}
    return Shape(vocab_size=text["vocab_size"], **sizes), text["documents"]


def overhead(report: Report) -> int:
    """Static RAM of a firmware besides its arena."""
    (arena,) = (symbol.bytes for symbol in report.symbols if symbol.name == "arena")
    return report.static_ram - arena


def capacity(report: Report) -> int:
    """Size of the memory that holds the arena."""
    return next(region.capacity for region in report.regions if region.name == "dram")


def largest(shape: Shape, num_docs: int, report: Report) -> Fit | None:
    """The shape with the largest n_embd that surely fits, the rest as in `shape`; None when not even the least does."""
    found = None
    for candidate in _wider_and_wider(shape):
        taken = arena_bytes(candidate, num_docs) + overhead(report)
        if taken + STACK_VARIATION > capacity(report):
            break
        found = Fit(candidate, taken)
    return found


def nearest(report: Report) -> str:
    """Sentence that names what would fit instead of a firmware that is too large, each with less of one thing."""
    shape, num_docs = model(report)
    found = []
    for name in ("n_embd", "n_layer", "block_size"):
        step = shape.n_head if name == "n_embd" else 1
        for value in range(getattr(shape, name) - step, 0, -step):
            smaller = replace(shape, **{name: value})
            if arena_bytes(smaller, num_docs) + overhead(report) + STACK_VARIATION <= capacity(report):
                found.append(f"{name}={value}")
                break
    if "steps" in report.changed:
        steps = min(report.made_from["options"]["steps"], num_docs) - fewer_steps(report)
        found += [f"steps={steps}"] if steps > 0 else []
    return f"it would fit with {' or '.join(found)}" if found else "nothing fits with just one of them made smaller"


def fewer_steps(report: Report) -> int:
    """By how many steps the order of documents (core/trainer.h) must shrink for the firmware to fit."""
    excess = next(region.used for region in report.regions if region.name == "dram") - capacity(report)
    return -(-(excess + ALIGNMENT) // ORDER_ENTRY)


def text(report: Report) -> str:
    """What fits, for people: the largest n_embd for a firmware's options, and for other numbers of layers."""
    shape, num_docs = model(report)
    lines = [f"largest n_embd in {capacity(report):,} bytes, n_head={shape.n_head} block_size={shape.block_size}"]
    lines.append(f"{'n_layer':>9}{'n_embd':>8}{'parameters':>12}{'static RAM':>12}")
    for layers in sorted({1, 2, 3, 4, shape.n_layer}):
        fit = largest(replace(shape, n_layer=layers), num_docs, report)
        mark = "  <" if layers == shape.n_layer else ""
        if fit is None:
            lines.append(f"{layers:>9}{'none':>8}{mark}")
        else:
            lines.append(f"{layers:>9}{fit.shape.n_embd:>8}{fit.shape.parameters:>12,}{fit.bytes:>12,}{mark}")
    lines.append(
        f"computed, but for up to {STACK_VARIATION} bytes of stack; scons memory with these options measures it"
    )
    return "\n".join(lines)


def _wider_and_wider(shape: Shape) -> Iterator[Shape]:
    for width in range(shape.n_head, LIMITS["n_embd"] + 1, shape.n_head):
        yield replace(shape, n_embd=width)
