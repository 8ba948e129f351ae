"""The loss curve of this program beside microgpt.py's: two pictures in one, the whole run, and its end step by step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from mgbuild.pictures.style import Theme, rules, svg

AVERAGED = 100  # losses, as on the page: a loss and those before it
MEANS_APART = 3  # steps from one that is drawn to the next, which is a pixel or two
LAST = 30  # steps that are drawn one by one
Look = dict[str, Any]
REFERENCE, PROGRAM = "microgpt.py", "this program"


def largest_difference(reference: Sequence[float], losses: Sequence[float]) -> float:
    """Of the losses of any step, in nats."""
    return float(np.max(np.abs(np.asarray(reference) - np.asarray(losses, float))))


def in_words(difference: float) -> str:
    """A number below one without an exponent, to one digit, rounded up: 8.8e-7 is 0.0000009."""
    digits = -math.floor(math.log10(difference)) if difference else 1
    return f"{math.ceil(difference * 10**digits) / 10**digits:.{digits}f}"


def moving_average(losses: Sequence[float]) -> np.ndarray:
    """Mean of each loss and those before it, AVERAGED at most."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(losses, float))])
    ends = np.arange(1, len(sums))
    begins = np.maximum(0, ends - AVERAGED)
    return (sums[ends] - sums[begins]) / (ends - begins)


def draw(reference: Sequence[float], losses: Sequence[float], vocabulary: int, theme: Theme) -> bytes:
    """SVG of the losses of microgpt.py and of this program, step by step, and of guessing among so many tokens."""
    with rules():
        figure = Figure(figsize=(10.4, 4.6))
        whole = figure.add_axes((0.04, 0.115, 0.585, 0.72))
        end = figure.add_axes((0.685, 0.115, 0.305, 0.72))
        _draw_whole(whole, reference, losses, math.log(vocabulary), vocabulary, theme)
        _draw_end(end, reference, losses, theme)
        difference = in_words(largest_difference(reference, losses))
        title = f"The same losses: at no step of {len(losses):,} do the two differ by more than {difference}"
        figure.text(0.012, 0.94, title, color=theme.ink, fontsize=13, fontweight="bold")
        return svg(figure, theme, title)


def _draw_whole(
    axes: Axes, reference: Sequence[float], losses: Sequence[float], guessing: float, vocabulary: int, theme: Theme
) -> None:
    steps = np.arange(1, len(losses) + 1)
    _dots(axes, steps, reference, theme.orange)
    wide: Look = {"color": theme.orange, "linewidth": 7, "alpha": 0.5, "solid_capstyle": "round"}
    narrow: Look = {"color": theme.blue, "linewidth": 2}
    for name, values, look in ((REFERENCE, reference, wide), (PROGRAM, losses, narrow)):
        means = moving_average(values)[::MEANS_APART]
        axes.plot(steps[::MEANS_APART], means, **look, label=f"{name}, mean of {AVERAGED}")
    axes.axhline(guessing, color=theme.soft, linestyle=(0, (5, 3)), linewidth=1.2)
    words = f"pure guessing: log {vocabulary} = {guessing:.2f}"
    box = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1, "alpha": 0.8}
    axes.text(len(losses), guessing + 0.07, words, ha="right", color=theme.ink, bbox=box)
    _frame(axes, "loss of every step, in nats for a letter", theme)
    axes.set_ylim(top=max(reference) + 0.35)
    axes.legend(loc="upper right", ncols=3, **_legend(theme))
    axes.set_xlim(-12, len(losses) + 12)
    axes.set_xticks([1, *range(200, len(losses) + 1, 200)])
    axes.set_xlabel("training step (one name each)", color=theme.soft)


def _draw_end(axes: Axes, reference: Sequence[float], losses: Sequence[float], theme: Theme) -> None:
    steps = np.arange(len(losses) - LAST + 1, len(losses) + 1)
    rings: Look = {"color": theme.orange, "linestyle": "none", "fillstyle": "none", "markersize": 9}
    dots: Look = {"color": theme.blue, "linewidth": 1.6, "markersize": 3.2}
    for name, values, look in ((PROGRAM, losses, dots), (REFERENCE, reference, rings)):
        axes.plot(steps, values[-LAST:], marker="o", markeredgewidth=1.8, **look, label=name)
    _frame(axes, f"the last {LAST} steps", theme)
    axes.set_xticks([steps[0], steps[LAST // 2 - 1], steps[-1]])
    axes.set_ylim(top=max(losses[-LAST:]) + 0.45)
    axes.set_xlabel("training step", color=theme.soft)
    axes.legend(loc="upper center", ncols=2, **_legend(theme))


def _legend(theme: Theme) -> Look:
    return {"frameon": False, "labelcolor": theme.ink, "fontsize": 10, "handletextpad": 0.5, "columnspacing": 1.2}


def _frame(axes: Axes, title: str, theme: Theme) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=theme.soft)
    axes.set_facecolor(theme.paper)
    axes.grid(axis="y", color=theme.line, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(color=theme.line, labelcolor=theme.soft)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.line)


def _dots(axes: Axes, x: np.ndarray, y: Sequence[float], colour: str) -> None:
    """A dot at each point: strokes without length, which take a third of the bytes of markers."""
    places = np.repeat(np.column_stack([x, np.asarray(y, float)]), 2, axis=0)
    codes = [Path.MOVETO, Path.LINETO] * len(x)
    dots = PathPatch(Path(places, codes), edgecolor=colour, facecolor="none", linewidth=2.4, alpha=0.55)
    dots.set_capstyle("round")
    axes.add_patch(dots)
    axes.plot([], [], linestyle="none", marker="o", markersize=2.4, color=colour, label=REFERENCE)
    axes.autoscale_view()
