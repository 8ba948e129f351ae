"""A process that trains and scores one model after the other, as it is told: lines of JSON in, lines of JSON out.

It knows nothing of the search and stores nothing: whoever ends it ends one training. It ends when its input does.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from microgpt import Error, Learner, Text

from mgbuild.tune.score import HeldOut, mean
from mgbuild.tune.split import Frequencies, Split

RUNG_DOCUMENTS = 200  # scored at a rung, which is to cost little


class Worker:
    """What is kept between two trainings: the texts."""

    def __init__(self, library: str, whole: list[str], parts: Split) -> None:
        self._library = Path(library)
        frequencies = Frequencies(parts.training, parts.alphabet)
        self._texts = {"whole": Text.of(whole), "training": Text.of(parts.training, parts.alphabet)}
        self._held_out = {
            name: HeldOut(self._texts["training"], documents, frequencies)
            for name, documents in (("validation", parts.validation), ("test", parts.test))
        }

    def train(self, text: str, options: dict[str, Any], seed: int) -> Learner:
        """A model that is to learn the "whole" text, or the "training" part."""
        return Learner(self._texts[text], seed=seed, path=self._library, **options)

    def search(self, task: dict[str, Any], go_on: Callable[[int, float], bool]) -> dict[str, Any]:
        """Score a recipe on the first `documents` of validation; go_on: asked at rungs, after so many steps."""
        begin = time.process_time()
        learner, held_out = self.train("training", task["options"], task["seed"]), self._held_out["validation"]
        for rung in task["rungs"]:
            learner.train(rung - learner.steps_taken)
            loss = mean(held_out.losses(learner, RUNG_DOCUMENTS), held_out.symbols[:RUNG_DOCUMENTS])
            if not go_on(rung, loss.value):
                return {"stopped": rung, "training_seconds": time.process_time() - begin}
        learner.train()
        trained, documents = time.process_time() - begin, task["documents"]
        found = mean(held_out.losses(learner, documents), held_out.symbols[:documents])
        return {"loss": found.value, "margin": found.margin, "training_seconds": trained}

    def judge(self, task: dict[str, Any]) -> dict[str, Any]:
        """Nats of each document of a held-out part, by a recipe."""
        learner = self.train("training", task["options"], task["seed"])
        learner.train()
        return {"losses": self._held_out[task["part"]].losses(learner).tolist()}

    def speak(self, task: dict[str, Any]) -> dict[str, Any]:
        """What a chip says that is flashed with a recipe: documents that it invents, and its weights' checksum."""
        learner = self.train("whole", task["options"], task["seed"])
        learner.train()
        checksum = learner.checksum
        return {"samples": [learner.sample(task["temperature"]) for _ in range(task["samples"])], "checksum": checksum}

    def answer(self, task: dict[str, Any], go_on: Callable[[int, float], bool]) -> dict[str, Any]:
        """What a task's kind asks for; of a training that has diverged, that it has."""
        try:
            match task["kind"]:
                case "search":
                    return self.search(task, go_on)
                case "judge":
                    return self.judge(task)
                case _:
                    return self.speak(task)
        except Error as error:
            return {"diverged": str(error)}


def main() -> None:
    """Read the texts and then tasks, until the input ends."""

    def say(answer: dict[str, Any]) -> None:
        try:
            print(json.dumps(answer), flush=True)
        except BrokenPipeError:
            os._exit(0)  # the search has died, and there is nobody to tell

    told = json.loads(sys.stdin.readline())
    worker = Worker(told["library"], told["whole"], Split(**told["parts"]))
    waiting: list[dict[str, Any]] = []

    def go_on(number: int, rung: int, loss: float) -> bool:
        say({"number": number, "rung": rung, "loss": loss})
        while True:
            heard = read()
            if "go_on" in heard:
                return bool(heard["go_on"])
            waiting.append(heard)

    def read() -> dict[str, Any]:
        if not (line := sys.stdin.readline()):
            sys.exit()
        return dict(json.loads(line))

    while True:
        begin = time.process_time()
        task = waiting.pop(0) if waiting else read()
        number = task["number"]
        answer = worker.answer(task, partial(go_on, number))
        say({"number": number, **answer, "seconds": time.process_time() - begin})


if __name__ == "__main__":
    main()
