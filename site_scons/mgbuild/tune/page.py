"""What a search came to as one HTML page with nothing to load: the verdict, Optuna's plots, the table."""

import io
import re
from collections.abc import Callable
from dataclasses import asdict
from html import escape

import matplotlib

matplotlib.use("agg")  # before pyplot is imported, which would look for a screen

import optuna  # noqa: E402
from matplotlib import pyplot  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.visualization import matplotlib as plots  # noqa: E402

from mgbuild.tune.report import HEAD, Outcome, best, row  # noqa: E402
from mgbuild.tune.search import BASELINE, Found  # noqa: E402
from mgbuild.tune.space import NAMES  # noqa: E402

LEAST_FOR_IMPORTANCE = 10  # trials


def page(outcome: Outcome) -> str:
    """The page."""
    drawings = [
        ("Loss over bytes of RAM", "The Pareto front: no other recipe has less of both.", _draw(_pareto, outcome)),
        ("Progress", "The best so far, trial by trial.", _draw(_history, outcome)),
    ]
    varied = [name for name in NAMES if len({getattr(each.options, name) for each in outcome.tried}) > 1]
    if len(outcome.tried) >= LEAST_FOR_IMPORTANCE and varied:
        importance = "Of each option, for how good a recipe is (PED-ANOVA)."
        drawings.append(("Importance", importance, _draw(_importance, outcome, varied)))
        drawings.append(("Loss over each option", "Dark: late in the search.", _draw(_slices, outcome, varied)))
    verdict, parts, chosen = outcome.verdict, outcome.parts, outcome.recommended
    body = [
        "<h1>Which model is best</h1>",
        *(f"<p><strong>{escape(sentence)}</strong></p>" for sentence in verdict.sentences),
        f"<p>{chosen.bytes:,} bytes of RAM for the model; about {chosen.seconds:.1f} s on the chip, "
        "by a model of its cycles.</p>",
        f"<pre>{escape(outcome.command)}</pre>",
        f"<p>Loss: nats per character, the end of a document being one; ±: half of a 95 % interval. "
        f"{len(parts.training):,} documents to train on, {outcome.scored:,} to search by, "
        f"{len(parts.test):,} to judge by; {parts.repeated:,} lines repeat another.</p>",
        _table(("", "loss on the test"), [(role, str(loss or "diverged")) for role, loss in verdict.losses.items()]),
        *(f"<h2>{title}</h2><p>{about}</p>{drawing}" for title, about, drawing in drawings),
        "<h2>The best</h2>",
        _table((*HEAD, ""), [(*row(each), each.role) for each in best(outcome.tried)]),
        "<h2>What each invents</h2>",
        _samples(outcome),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Which model is best</title><style>{STYLE}</style></head>\n<body>"
        + "\n".join(body)
        + "</body></html>\n"
    )


STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0; } h2 + p { margin-top: 0; }
pre { padding: .5rem 1rem; border: 1px solid; border-radius: 4px; white-space: pre-wrap; }
svg { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
table { border-collapse: collapse; margin: .5rem 0; display: block; overflow-x: auto; }
td, th { padding: .1rem .8rem .1rem 0; text-align: right; white-space: nowrap; }
td:last-child, th:last-child, .words td, .words th { text-align: left; }
"""


def _draw(drawing: Callable[..., None], outcome: Outcome, *words: list[str]) -> str:
    """What a function draws, as SVG."""
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tune", "font.family": "sans-serif"}):
        try:
            drawing(outcome, *words)
            file = io.StringIO()
            pyplot.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
        finally:
            pyplot.close("all")
    return re.sub(r"^.*?(?=<svg)", "", file.getvalue(), flags=re.DOTALL)


def _pareto(outcome: Outcome) -> None:
    axes: Axes = plots.plot_pareto_front(_study(outcome.tried, bytes_too=True), target_names=["RAM, bytes", "loss"])
    for label, each in (("default", outcome.recipe(BASELINE)), ("winner", outcome.verdict.winner)):
        axes.scatter([each.bytes], [each.loss.value], s=120, facecolors="none", edgecolors="black", zorder=3)
        axes.annotate(label, (each.bytes, each.loss.value), xytext=(8, 8), textcoords="offset points")
    axes.set_title("", loc="left")


def _history(outcome: Outcome) -> None:
    plots.plot_optimization_history(_study(outcome.tried), target_name="loss").set_title("", loc="left")


def _importance(outcome: Outcome, varied: list[str]) -> None:
    plots.plot_param_importances(_study(outcome.tried), params=varied, target_name="loss").set_title("", loc="left")


def _slices(outcome: Outcome, varied: list[str]) -> None:
    plots.plot_slice(_study(outcome.tried), params=varied, target_name="loss")
    pyplot.gcf().set_size_inches(3 * len(varied), 3)
    pyplot.suptitle("")


def _study(tried: list[Found], bytes_too: bool = False) -> optuna.Study:
    """A study of what was tried: not of what was drawn, which settled where it fits."""
    study = optuna.create_study(directions=["minimize", "minimize"] if bytes_too else ["minimize"])
    for each in tried:
        values = [float(each.bytes), each.loss.value] if bytes_too else [each.loss.value]
        options = asdict(each.options)
        study.add_trial(optuna.create_trial(values=values, params=options, distributions=_ranges(tried)))
    return study


def _ranges(tried: list[Found]) -> dict[str, BaseDistribution]:
    ranges: dict[str, BaseDistribution] = {}
    for name in NAMES:
        values = sorted({getattr(each.options, name) for each in tried})
        kind = FloatDistribution if name == "lr" else IntDistribution
        ranges[name] = (
            CategoricalDistribution(values)
            if name == "n_head"
            else kind(values[0], values[-1], log=name in ("lr", "steps"))
        )
    return ranges


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]], kind: str = "numbers") -> str:
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in cells) for cells in rows]
    return f'<table class="{kind}">{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'


def _samples(outcome: Outcome) -> str:
    roles = list(outcome.samples)
    columns = [[*outcome.samples[role]["samples"], outcome.samples[role]["checksum"]] for role in roles]
    return _table(tuple(roles), [tuple(cells) for cells in zip(*columns, strict=True)], "words")
