"""The search: Optuna draws recipes, workers train and score them, and the storage keeps what came out."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from mgbuild.tune.crew import QUEUE, WAIT_SECONDS, Crew, Member
from mgbuild.tune.score import Estimate
from mgbuild.tune.space import DEFAULT, MOST_STEPS, Options, Space
from mgbuild.tune.storage import Storage

RUNGS: Final = (0.25, 0.5)  # of a trial's steps, after which the worse half ends
RUNG_LEAST_STEPS: Final = 4000  # of a trial; asking of a shorter one takes longer than it does
ESTIMATED: Final = 3  # of so many draws of a quick search one is TPE's
OPENING_SECONDS: Final = 5  # that making a study in a shared database takes at most
STARTING: Final = 20  # trials that are drawn at random, and not ended early
FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED)

# What a trial is for, if it is not for the search: the default options are there to be beaten, and the default shape
# for as many steps as any other gets, to tell what comes of shape and rate from what comes of time.
BASELINE, PATIENT = "default", "default, longer"

warnings.filterwarnings("ignore", category=ExperimentalWarning)
warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used")  # with optimize(); Search._beat() does
optuna.logging.set_verbosity(optuna.logging.ERROR)


class NumberedSampler(BaseSampler):
    """Optuna's tree-structured Parzen estimator (TPE), whose draws follow from the seed, the trial's number and what
    has been found, on whatever machine, however often the search was stopped.

    quick: but for one in ESTIMATED they are at random, which costs nothing: TPE's take half as long as 1,000 steps.
    """

    def __init__(self, seed: int, quick: bool) -> None:
        self._seed, self._quick = abs(seed), quick
        self._number, self._sampler = -1, self._of(0)
        self._space_of = self._of(0)  # which remembers how far it has read; it draws nothing

    def _of(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        if self._quick and number % ESTIMATED:
            return RandomSampler(seed)
        return TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTING)

    def _for(self, trial: FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            self._number, self._sampler = trial.number, self._of(trial.number)
        return self._sampler

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space_of.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._for(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        return self._for(trial).sample_independent(study, trial, name, distribution)


@dataclass(frozen=True)
class Found:
    """A recipe that was tried to its end."""

    number: int  # of the trial
    role: str  # BASELINE, PATIENT, or "" of one that was searched
    options: Options
    loss: Estimate  # on validation
    bytes: int  # of RAM, by the chip's plan
    seconds: float  # of training on the chip, by the time model


@dataclass
class Running:
    """A trial that a worker has."""

    trial: Trial
    options: Options
    role: str
    task: dict[str, Any]
    member: Member


def open_study(storage: Storage, name: str, seed: int, space: Space) -> Study:
    """The study of that name; made, if it is not there, with the baselines as its first trials."""
    pruner = MedianPruner(n_startup_trials=STARTING, n_min_trials=5)
    sampler = NumberedSampler(seed, quick=storage.journal is not None)
    others_until = 0.0
    try:
        study = optuna.create_study(study_name=name, storage=storage.optuna, sampler=sampler, pruner=pruner)
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage.optuna, sampler=sampler, pruner=pruner)
        if storage.is_shared:  # whoever has just made it may be about to add them
            others_until = time.monotonic() + OPENING_SECONDS
        else:
            _revive(study, storage)
    if storage.journal:
        kept = optuna.create_study(study_name=name, storage=storage.journal, load_if_exists=True)
        study.add_trials(sorted(kept.get_trials(), key=_before))
    while not {BASELINE, PATIENT} <= _roles(study) and time.monotonic() < others_until:
        time.sleep(WAIT_SECONDS)
    for role in sorted({BASELINE, PATIENT} - _roles(study)):
        options = asdict(baseline(space, role))
        study.enqueue_trial({key: options[key] for key in space.ranges}, user_attrs={"role": role})
    return study


def _roles(study: Study) -> set[str]:
    """What there are trials for that were not given up."""
    trials = study.get_trials(deepcopy=False)
    return {trial.user_attrs.get("role", "") for trial in trials if trial.state != TrialState.FAIL}


def _before(trial: FrozenTrial) -> int:
    """The baselines come first, in whatever order trials were finished."""
    return [BASELINE, PATIENT, ""].index(trial.user_attrs.get("role", ""))


def baseline(space: Space, role: str) -> Options:
    """What is tried for a role; a smaller shape or fewer steps where the default's do not fit."""
    return space.fit(DEFAULT if role == BASELINE else replace(DEFAULT, steps=space.fixed.get("steps", MOST_STEPS)))


def _revive(study: Study, storage: Storage) -> None:
    """Try again what was being tried when a search ended."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        give_back(study, storage, trial.number)


def give_back(study: Study, storage: Storage, number: int) -> None:
    """A trial has lost its worker: it failed, and waits to be tried again."""
    study.tell(number, state=TrialState.FAIL)
    storage.retry(study, study.get_trials(deepcopy=False)[number])


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """How each searched option is drawn: evenly on a logarithmic scale."""
    return {name: _distribution(name, *values) for name, values in space.ranges.items()}


def _distribution(name: str, *values: Any) -> BaseDistribution:
    if name == "n_head":
        return CategoricalDistribution(values)
    kind = FloatDistribution if name == "lr" else IntDistribution
    return kind(values[0], values[-1], log=True)


def _draw(trial: Trial, name: str, range_: BaseDistribution) -> Any:
    match range_:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, range_.choices)
        case FloatDistribution():
            return trial.suggest_float(name, range_.low, range_.high, log=range_.log)
        case IntDistribution():
            return trial.suggest_int(name, range_.low, range_.high, log=range_.log)


def found(study: Study) -> list[Found]:
    """What was tried to its end and did not diverge, in the order of trials."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [_found(trial.number, trial.user_attrs) for trial in trials]


def _found(number: int, attributes: Mapping[str, Any]) -> Found:
    told = attributes["found"]
    loss = Estimate(told["loss"], told["margin"])
    return Found(number, attributes.get("role", ""), Options(**told["options"]), loss, told["bytes"], told["seconds"])


class Search:
    """One process's part in a study: it asks Optuna for recipes, and has its workers try them."""

    def __init__(
        self, study: Study, storage: Storage, space: Space, crew: Crew, *, seed: int, documents: int, trials: int
    ) -> None:
        """seed: of every training; documents: of validation that score a recipe; trials: that end the search."""
        self.study, self.space, self.trials = study, space, trials
        self._storage, self._crew, self._seed, self._documents = storage, crew, seed, documents
        self._draws = distributions(space)
        self._running: dict[int, Running] = {}
        self._known = {each.options: each for each in found(study)}
        self._beat_at, self._seen = 0.0, set[int]()
        self.tried = 0  # here
        self.training_seconds = self.worker_seconds = 0.0  # of CPU, for what was tried here

    def run(self, stopped: Callable[[], bool], progress: Callable[[int, Found | None], None]) -> bool:
        """Search until so many trials are finished, or `stopped`; returns whether they are.

        progress: told, whenever a trial is finished, how many are and which is the best.
        """
        told = -1
        while not stopped():
            finished = self._finished()
            if finished != told:
                progress(finished, self.best())
                told = finished
            if finished >= self.trials and not self._running:
                return True
            self._hand_out(finished)
            for member, answer in self._crew.answers(WAIT_SECONDS):
                self._hear(member, answer)
                # At once: what is drawn follows from the order of answers, not from their pace.
                self._hand_out(self._finished())
            self._beat()
        for number in list(self._running):
            give_back(self.study, self._storage, number)
        return False

    def best(self) -> Found | None:
        """The best of what was tried, by validation; of equal ones the first."""
        tried = found(self.study) if self._storage.is_shared else self._known.values()
        return min(tried, key=lambda each: each.loss.value, default=None)

    def _finished(self) -> int:
        return len(self.study.get_trials(deepcopy=False, states=FINISHED))

    def _hand_out(self, finished: int) -> None:
        """Give each worker the tasks that it has room for, the idle ones first."""
        for depth in range(QUEUE):
            for member in self._crew.members:
                while len(member.tasks) <= depth and self._wanted(finished):
                    finished += self._try(member)

    def _wanted(self, finished: int) -> bool:
        """Whether another trial is to begin: what others are trying in a shared storage counts too."""
        running = len(self._running)
        if self._storage.is_shared:
            running = len(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        return finished + running < self.trials

    def _try(self, member: Member) -> bool:
        """Draw a recipe and hand it to a worker; returns whether it was tried before, and so is finished already."""
        trial = self.study.ask()
        drawn = {name: _draw(trial, name, draw) for name, draw in self._draws.items()}
        role = trial.user_attrs.get("role", "")
        options = baseline(self.space, role) if role else self.space.settle(drawn)
        if options in self._known and not role:
            self._tell(trial, replace(self._known[options], number=trial.number, role=role))
            return True
        rungs = [int(share * options.steps) for share in RUNGS] if options.steps >= RUNG_LEAST_STEPS else []
        task = {
            "kind": "search",
            "number": trial.number,
            "options": asdict(options),
            "seed": self._seed,
            "rungs": [] if role else rungs,
            "documents": self._documents,
        }
        self._running[trial.number] = Running(trial, options, role, task, member)
        self._crew.give(member, task)
        return False

    def _hear(self, member: Member, answer: dict[str, Any] | None) -> None:
        if answer is None:
            self._replace(member)
            return
        running = self._running[answer["number"]]
        if "rung" in answer:
            running.trial.report(answer["loss"], running.task["rungs"].index(answer["rung"]))
            self._crew.go_on(member, not running.trial.should_prune())
            return
        del self._running[answer["number"]]
        self.tried += 1
        self.training_seconds += answer.get("training_seconds", 0.0)
        self.worker_seconds += answer["seconds"]
        if "loss" not in answer:  # ended at a rung, or diverged
            self._end(running.trial, None)
            return
        plan, seconds = self.space.chip.plan(running.options), self.space.chip.seconds(running.options)
        loss = Estimate(answer["loss"], answer["margin"])
        self._tell(running.trial, Found(running.trial.number, running.role, running.options, loss, plan.bytes, seconds))

    def _tell(self, trial: Trial, came_out: Found) -> None:
        told = {"options": asdict(came_out.options), "loss": came_out.loss.value, "margin": came_out.loss.margin}
        trial.set_user_attr("found", {**told, "bytes": came_out.bytes, "seconds": came_out.seconds})
        self._end(trial, came_out.loss.value)
        self._known.setdefault(came_out.options, came_out)

    def _end(self, trial: Trial, loss: float | None) -> None:
        """Finish a trial, so that it is kept; loss: None of one that ended early."""
        self.study.tell(trial, loss, TrialState.PRUNED if loss is None else None)
        if self._storage.journal:
            study = self._storage.journal.get_study_id_from_name(self.study.study_name)
            self._storage.journal.create_new_trial(study, self.study.get_trials(deepcopy=False)[trial.number])

    def _replace(self, dead: Member) -> None:
        """A worker has died: what it was at is tried again later, what it had not begun goes to the others now."""
        for number in dead.tasks[:1]:
            del self._running[number]
            give_back(self.study, self._storage, number)
        for number in dead.tasks[1:]:
            running = self._running[number]
            running.member = min(self._crew.members, key=lambda member: len(member.tasks))
            self._crew.give(running.member, running.task)

    def _beat(self) -> None:
        """Show others that what is being tried here is, and take over what nobody shows any more.

        A trial that others have is shown once, when it is first seen: whoever died before doing so has left it without
        a sign of life, and Optuna misses none that never was.
        """
        rdb, now = self._storage.rdb, time.monotonic()
        if not rdb or not self._storage.is_shared or now < self._beat_at:
            return
        self._beat_at = now + (rdb.get_heartbeat_interval() or 1) / 2
        study = rdb.get_study_id_from_name(self.study.study_name)
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in self._running or trial.number not in self._seen:
                rdb.record_heartbeat(rdb.get_trial_id_from_study_id_trial_number(study, trial.number))
                self._seen.add(trial.number)
        optuna.storages.fail_stale_trials(self.study)
