"""`scons tune`, from its options to its report."""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from optuna.exceptions import StorageInternalError
from optuna.study import Study
from optuna.trial import TrialState
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import SQLAlchemyError

from mgbuild.errors import UserError
from mgbuild.firmware.memory import Report
from mgbuild.plan import build_folder, dataset, training_time
from mgbuild.plan.options import Settings
from mgbuild.plan.shape import Shape
from mgbuild.tune import report as reports
from mgbuild.tune import search, storage, verdict
from mgbuild.tune.crew import Crew
from mgbuild.tune.space import NAMES, Chip, Options, Space
from mgbuild.tune.split import split

LEAST_SCORED = 256  # documents of validation, if there are so many
STEPS_A_DOCUMENT = 4  # of the default's training for each that is scored: a tenth of the time, for no step goes back
QUICK_STEPS = 10_000  # of the default's training; shorter trials are kept in a journal
SAMPLES = 10
BAR = 20  # columns


def main(settings: Settings, given: Mapping[str, str], memory: Report, image: Path, library: Path) -> int:
    """Search, judge and report; returns 0, or 130 after Ctrl-C, which keeps what was found.

    given: the options that were typed, of which those that could be searched stay what they are; memory: of the
    firmware; image: the packed text. Raises UserError for what cannot be searched, or kept.
    """
    asked = Asked(settings, given, memory, image, library)
    with asked.storage() as kept, asked.crew() as crew, _stopping() as stopped:
        try:
            study = search.open_study(kept, asked.name, asked.seed, asked.space)
            outcome = _outcome(asked, study, kept, crew, stopped)
        except (SQLAlchemyError, StorageInternalError, OSError) as error:
            raise UserError(
                f"{kept.name} is lost: {kept.reason(error)}; the same command goes on from what was finished"
            ) from None
    if outcome is None:
        print(f"# stopped: what was finished is kept in {kept.name}, and the same command goes on")
        return 128 + signal.SIGINT
    from mgbuild.tune.page import page  # here, for matplotlib is slow to come

    contents = {"result.json": reports.as_json(outcome), "index.html": page(outcome)}
    asked.folder.mkdir(parents=True, exist_ok=True)
    build_folder.replace({asked.folder / file: content.encode() for file, content in contents.items()})
    files = f"# plots: {asked.folder / 'index.html'}; as data: {asked.folder / 'result.json'}"
    print(f"{reports.text(outcome)}\n{files}")
    return 0


class Asked:
    """What a search is to be, from the options."""

    def __init__(
        self, settings: Settings, given: Mapping[str, str], memory: Report, image: Path, library: Path
    ) -> None:
        """As main()."""
        if settings.seed is None:
            raise UserError("seed=hw: a search needs a seed that it can repeat; give a number")
        self.settings, self.given, self.memory = settings, given, memory
        self._image, self._library = image.read_bytes(), library
        self.seed, self.folder = settings.seed, settings.build / "tune"
        self.documents = dataset.unpack(self._image)
        self.parts = split(self.documents, self.seed, f"data set {settings.dataset}")
        self.space = self._space()
        self.usual = search.baseline(self.space, search.PATIENT).steps
        self.scored = min(max(LEAST_SCORED, self.usual // STEPS_A_DOCUMENT), len(self.parts.validation))

    def _space(self) -> Space:
        layout = self.memory.flash
        if layout["dataset"] + layout["data_set_bytes"] > layout["dataset_end"]:
            raise UserError(f"data set {self.settings.dataset} is larger than its place in flash; see flash_size=")
        lengths = training_time.TextLengths(map(len, self.documents))
        vocabulary = dataset.read_header(self._image).num_chars + 1

        def seconds(options: Options) -> float:
            shape = Shape(vocab_size=vocabulary, **options.sizes)
            cores = self.settings.cores
            return training_time.seconds(self._library, shape, lengths, options.steps, cores, lr=options.lr)

        banks = tuple(self.memory.plan["banks"].values())
        chip = Chip(banks, vocabulary, len(self.documents), seconds, self._library)
        fixed = {name: getattr(self.settings, name) for name in NAMES if name in self.given}
        return Space(chip, 60 * self.settings.minutes, max(map(len, self.documents)) + 1, fixed)

    @property
    def name(self) -> str:
        """Of the study: the same for the same text, options, chip and seed, another for any other."""
        decides = {
            "text": hashlib.sha256(self._image).hexdigest(),
            "seed": self.seed,
            "minutes": self.settings.minutes,
            "most_steps": self.usual,  # in that time, by the model of this version and so many cores
            "fixed": self.space.fixed,
            "memory": sum(self.space.chip.banks) // 1024,  # which another version's name makes a few bytes smaller
        }
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.settings.dataset.stem}-{digest}"

    @contextmanager
    def storage(self) -> Iterator[storage.Storage]:
        """Where the study is kept."""
        if self.settings.storage:
            kept = storage.shared(self.settings.storage)
        else:
            kept = storage.in_folder(self.folder, self.name, self.usual <= QUICK_STEPS)
        try:
            yield kept
        finally:
            kept.close()

    @contextmanager
    def crew(self) -> Iterator[Crew]:
        """The workers."""
        crew = Crew(self.settings.workers or len(os.sched_getaffinity(0)), self._library, self.documents, self.parts)
        try:
            yield crew
        finally:
            crew.close()


def _outcome(
    asked: Asked, study: Study, kept: storage.Storage, crew: Crew, stopped: Callable[[], bool]
) -> reports.Outcome | None:
    """Search and judge; None when `stopped`."""
    settings, parts = asked.settings, asked.parts
    if parts.repeated:
        print(f"# {parts.repeated:,} lines repeat another; all copies of a line are in one part of the text")
    print(
        f"# {len(parts.training):,} documents to train on, {asked.scored:,} to search by, {len(parts.test):,} to judge "
        f"by; {settings.minutes:g} minutes of the chip are {asked.usual:,} steps of the default shape; kept in "
        f"{kept.name}",
        flush=True,
    )
    searching = search.Search(
        study, kept, asked.space, crew, seed=asked.seed, documents=asked.scored, trials=settings.trials
    )
    begin = time.process_time()
    with _progress(settings.trials) as progress:
        done = searching.run(stopped, progress)
    if searching.tried:
        share = searching.training_seconds / (searching.worker_seconds + time.process_time() - begin)
        print(f"# {searching.tried:,} trials here; training was {share:.0%} of the CPU time that they took", flush=True)
    tried = search.found(study)
    judged = verdict.judge(tried, crew, parts, asked.seed, stopped) if done else None
    if judged is None:
        if best := searching.best():
            print(f"# the best so far, not yet judged: {reports.command(best.options, asked.given)}")
        return None
    outcome = reports.Outcome(
        name=study.study_name,
        minutes=settings.minutes,
        cores=settings.cores,
        parts=parts,
        scored=asked.scored,
        tried=tried,
        cut_short=len(study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))),
        verdict=judged,
        other_ram=asked.memory.static_ram - sum(asked.memory.plan["purposes"].values()),
    )
    roles = list(dict.fromkeys([search.BASELINE, judged.recommended]))
    task = {"kind": "speak", "seed": asked.seed, "samples": SAMPLES, "temperature": settings.temperature}
    recipes = [asdict(outcome.recipe(role).options) for role in roles]
    answers = crew.work([{**task, "number": n, "options": each} for n, each in enumerate(recipes)], stopped)
    if answers is None:
        return None
    samples = dict(zip(roles, answers, strict=True))
    return replace(outcome, samples=samples, command=reports.command(outcome.recommended.options, asked.given))


@contextmanager
def _progress(trials: int) -> Iterator[Callable[[int, search.Found | None], None]]:
    """What tells of the progress: a bar on a terminal, else a line whenever there is a new best."""
    columns = (
        TextColumn("trial"),
        BarColumn(BAR),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    best_told = None
    with Progress(*columns, console=Console(), disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=trials)

        def show(finished: int, best: search.Found | None) -> None:
            nonlocal best_told
            said = f"best {best.loss.value:.4f} of trial {best.number}" if best else ""
            bar.update(task, completed=finished, description=said)
            if bar.disable and best and best.number != best_told:
                best_told = best.number
                print(f"trial {finished} of {trials}: {said}", flush=True)

        yield show


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or another signal that ends programs has come: nothing breaks off in its bookkeeping."""
    seen = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        seen.set()

    before = {}
    with suppress(ValueError):  # only the main thread may
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before[number] = signal.signal(number, note)
    try:
        yield seen.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
