"""Which shapes of the model fit the chip: the firmware's own plan, asked for one shape after another."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt.plan import Plan, plan

from mgbuild.firmware.memory import Report, request
from mgbuild.plan import training_time
from mgbuild.plan.shape import LIMITS, Shape
from mgbuild.plan.training_time import CPU_HERTZ, TextLengths


@dataclass(frozen=True)
class Fit:
    """A shape, and the bytes of memory that it takes."""

    shape: Shape
    bytes: int


def largest(report: Report, library: Path, **changed: int) -> Fit | None:
    """The model with the largest n_embd that fits, with a firmware's options or those that are changed.

    library: libmicrogpt.so. None when not even the least fits.
    """
    asked = {**request(report.made_from), **changed}
    found = None
    for width in range(asked["n_head"], LIMITS["n_embd"] + 1, asked["n_head"]):
        planned = _plan(report.plan, library, {**asked, "n_embd": width})
        if not planned.fits:
            break
        sizes = {name: asked[name] for name in ("n_head", "n_layer", "block_size", "vocab_size")}
        found = Fit(Shape(n_embd=width, **sizes), planned.bytes)
    return found


def nearest(report: Report) -> str:
    """Sentence that names what would fit instead of a model that is too large, each with less of one thing."""
    found = [f"{name}={value}" for name, value in report.plan["smaller"].items() if value]
    return f"it would fit with {' or '.join(found)}" if found else "nothing fits with just one of them made smaller"


def text(report: Report, library: Path, lengths: TextLengths) -> str:
    """What fits, for people: the largest n_embd for a firmware's options, and for other numbers of layers.

    lengths: of the firmware's text.
    """
    options = report.made_from["options"]
    room = sum(report.plan["banks"].values())

    def seconds(shape: Shape) -> str:
        return training_time.rounded(
            training_time.seconds(library, shape, lengths, options["steps"], options["cores"], lr=options["lr"])
        )

    lines = [f"largest n_embd in {room:,} bytes, n_head={options['n_head']} block_size={options['block_size']}"]
    lines.append(f"{'n_layer':>9}{'n_embd':>8}{'parameters':>12}{'bytes':>12}{'seconds *':>12}")
    for layers in sorted({1, 2, 3, 4, options["n_layer"]}):
        fit = largest(report, library, n_layer=layers)
        mark = "  <" if layers == options["n_layer"] else ""
        if fit is None:
            lines.append(f"{layers:>9}{'none':>8}{mark}")
        else:
            size = f"{fit.shape.parameters:>12,}{fit.bytes:>12,}{seconds(fit.shape):>12}"
            lines.append(f"{layers:>9}{fit.shape.n_embd:>8}{size}{mark}")
    own = Shape(**{name: request(report.made_from)[name] for name in LIMITS})
    work = f"{options['steps']} steps of an ESP32 with cores={options['cores']} at {CPU_HERTZ // 10**6} MHz"
    lines.append(f"* for {work}, by the cycle model")
    lines.append(f"  n_embd={own.n_embd} n_layer={own.n_layer} takes about {seconds(own)} s")
    return "\n".join(lines)


def _plan(room: Mapping[str, Any], library: Path, asked: Mapping[str, int]) -> Plan:
    return plan(list(room["banks"].values()), path=library, **asked)
