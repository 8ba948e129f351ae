"""Whether what a search has found is better than the default: retrained with other seeds, on documents it never saw."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from mgbuild.errors import UserError
from mgbuild.tune.crew import Crew
from mgbuild.tune.score import Estimate, gain, mean, symbols
from mgbuild.tune.search import BASELINE, PATIENT, Found
from mgbuild.tune.space import Options
from mgbuild.tune.split import Split

RUNS: Final = 3  # with a seed each; score.STUDENT knows what so few are worth
FINALISTS: Final = 5
WINNER: Final = "winner"


@dataclass(frozen=True)
class Verdict:
    """What the test says."""

    winner: Found
    losses: dict[str, Estimate | None]  # by role, on the test, the mean of RUNS trainings; None: one has diverged
    gain: Estimate | None  # of the winner over the default
    longer: Estimate | None  # of the default shape and rate, trained longer, over the default
    recommended: str  # a role
    sentences: tuple[str, ...]


def judge(tried: list[Found], crew: Crew, parts: Split, seed: int, stopped: Callable[[], bool]) -> Verdict | None:
    """The verdict on what was tried, or None when `stopped`. seed: of the search; every training here has another.

    The best by validation are trained again, for one training may be lucky; what is then the best is the winner, and
    is trained once more, beside the baselines, for the test.
    """
    by_role = {each.role: each for each in tried if each.role}
    if BASELINE not in by_role:
        raise UserError("training diverges with the default options, and there is nothing to compare with")
    finalists = list({each.options: each for each in sorted(tried, key=lambda each: each.loss.value)}.values())
    finalists = finalists[:FINALISTS]
    played = _train([each.options for each in finalists], "validation", range(seed + 1, seed + 1 + RUNS), crew, stopped)
    if played is None:
        return None
    totals = [np.inf if losses is None else float(losses.sum()) for losses in played]
    winner = finalists[int(np.argmin(totals))]
    recipes = {BASELINE: by_role[BASELINE], PATIENT: by_role.get(PATIENT, by_role[BASELINE]), WINNER: winner}
    different = list(dict.fromkeys(each.options for each in recipes.values()))
    judged = _train(different, "test", range(seed + 1 + RUNS, seed + 1 + 2 * RUNS), crew, stopped)
    if judged is None:
        return None
    runs = {role: judged[different.index(each.options)] for role, each in recipes.items()}
    return compare(winner, recipes, runs, symbols(parts.test))


def _train(
    recipes: list[Options], part: str, seeds: Sequence[int], crew: Crew, stopped: Callable[[], bool]
) -> list[np.ndarray | None] | None:
    """Nats [seeds, documents of the part] of each recipe, None for one that diverged; or None when `stopped`."""
    tasks: list[dict[str, Any]] = [
        {"kind": "judge", "part": part, "options": asdict(options), "seed": seed}
        for options in recipes
        for seed in seeds
    ]
    answers = crew.work([{**task, "number": number} for number, task in enumerate(tasks)], stopped)
    if answers is None:
        return None
    runs = len(seeds)
    losses = [[each.get("losses") for each in answers[first : first + runs]] for first in range(0, len(tasks), runs)]
    return [None if None in own else np.array(own) for own in losses]


def compare(
    winner: Found, recipes: dict[str, Found], runs: dict[str, np.ndarray | None], symbols: np.ndarray
) -> Verdict:
    """The verdict that follows from the nats [runs, documents] of each role's recipe; None: one run has diverged."""

    def saved(worse: str, better: str) -> Estimate | None:
        one, other = runs[worse], runs[better]
        return None if one is None or other is None else gain(one, other, symbols)

    losses = {role: None if each is None else mean(each.mean(axis=0), symbols) for role, each in runs.items()}
    won, longer, over_longer = saved(BASELINE, WINNER), saved(BASELINE, PATIENT), saved(PATIENT, WINNER)
    recommended, sentences = BASELINE, []
    if winner.options == recipes[BASELINE].options:
        sentences.append("Nothing that was tried is better than the default options: keep them.")
    elif won is None:
        sentences.append("With another seed the training of one of the two diverges: keep the default options.")
    elif not _is_better(won):
        sentences.append(
            f"The best that was found saves {won} nats per character over the default options, which is "
            f"{'worse' if won.is_sure else 'within the noise'}: keep the default."
        )
    elif winner.options != recipes[PATIENT].options and _is_better(longer) and not _is_better(over_longer):
        recommended = PATIENT
        sentences.append(
            f"The best that was found saves {won} nats per character over the default options, but only {over_longer} "
            f"over the default shape and rate in {recipes[PATIENT].options.steps:,} steps, which is within the noise: "
            f"train the default for longer, which saves {longer}."
        )
    else:
        recommended = WINNER
        share = won.value / (losses[BASELINE] or won).value
        sentences.append(f"It saves {won} nats per character over the default options, {share:.1%} of their loss.")
        if longer is not None and winner.options != recipes[PATIENT].options:
            sentences.append(
                f"The default shape and rate in {recipes[PATIENT].options.steps:,} steps would save {longer}."
            )
    return Verdict(winner, losses, won, longer, recommended, tuple(sentences))


def _is_better(gained: Estimate | None) -> bool:
    return gained is not None and gained.value > 0 and gained.is_sure
