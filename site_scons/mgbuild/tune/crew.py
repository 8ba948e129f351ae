"""Worker processes, one for a core: tasks go to them, answers come back, and one that dies is replaced."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mgbuild.errors import UserError
from mgbuild.tune.split import Split

HERE = Path(__file__).resolve().parents[2]  # site_scons
WAIT_SECONDS = 0.2
MOST_DEATHS = 5  # one after the other, without an answer between
QUEUE = 2  # tasks of a worker: the one in hand, and one that it finds as soon as that is done


@dataclass
class Member:
    """A worker process and the numbers of its tasks, the one in hand first."""

    process: subprocess.Popen[bytes]
    tasks: list[int] = field(default_factory=list)
    heard: bytes = b""  # the beginning of a line
    has_answered: bool = False


class Crew:
    """Workers of one text."""

    def __init__(self, size: int, library: Path, whole: list[str], parts: Split) -> None:
        self._opening = {"library": str(library.absolute()), "whole": whole, "parts": asdict(parts)}
        self._selector = selectors.DefaultSelector()
        self._deaths = 0  # since the last answer
        self.members = [self._hire() for _ in range(size)]
        for member in self.members:  # once all have begun to import what they need
            self._say(member, self._opening)

    def _hire(self) -> Member:
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE),
            "OMP_NUM_THREADS": "1",
        }  # of NumPy, which has little to do
        process = subprocess.Popen(
            [sys.executable, "-m", "mgbuild.tune.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            process_group=0,  # Ctrl-C is for the search, which ends its workers
        )
        assert process.stdout
        member = Member(process)
        self._selector.register(process.stdout, selectors.EVENT_READ, member)
        return member

    @staticmethod
    def _say(member: Member, words: Mapping[str, Any]) -> None:
        assert member.process.stdin
        try:
            member.process.stdin.write(json.dumps(words).encode() + b"\n")
            member.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died, as answers() will find

    def give(self, member: Member, task: Mapping[str, Any]) -> None:
        """Put a task at the end of a worker's queue; task: with its number."""
        member.tasks.append(task["number"])
        self._say(member, task)

    def go_on(self, member: Member, whether: bool) -> None:
        """Answer a worker that has come to a rung."""
        self._say(member, {"go_on": whether})

    def answers(self, timeout: float) -> Iterator[tuple[Member, dict[str, Any] | None]]:
        """What workers say within so many seconds; None: it has died, and another has its place, with no tasks.

        Raises UserError when one cannot begin, or when they die again and again.
        """
        for key, _ in self._selector.select(timeout):
            member: Member = key.data
            part = os.read(key.fd, 1 << 16)
            if not part:
                self._replace(member)
                yield member, None
                continue
            *lines, member.heard = (member.heard + part).split(b"\n")
            if lines:
                member.has_answered, self._deaths = True, 0
            for line in lines:
                answer = json.loads(line)
                if "rung" not in answer:
                    member.tasks.remove(answer["number"])
                yield member, answer

    def work(self, tasks: list[dict[str, Any]], stopped: Callable[[], bool]) -> list[dict[str, Any]] | None:
        """Have the workers, who are idle, do these tasks; returns their answers in order, or None when `stopped`.

        tasks: numbered by their places.
        """
        waiting, answers = list(tasks), dict[int, dict[str, Any]]()
        while len(answers) < len(tasks) and not stopped():
            for member in self.members:
                if waiting and not member.tasks:
                    self.give(member, waiting.pop(0))
            for member, answer in self.answers(WAIT_SECONDS):
                if answer is not None:
                    answers[answer["number"]] = answer
                else:
                    waiting += [tasks[number] for number in member.tasks]
        return [answers[number] for number in range(len(tasks))] if len(answers) == len(tasks) else None

    def _replace(self, member: Member) -> None:
        try:
            member.process.wait(WAIT_SECONDS)  # it may be about to end by itself
        except subprocess.TimeoutExpired:
            pass
        self._dismiss(member)
        if not member.has_answered and member.process.returncode > 0:  # nobody has killed it
            raise UserError("a worker ended before it had trained anything; what it says is above")
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            raise UserError("workers are killed, one after the other, before they have trained anything")
        successor = self._hire()
        self.members[self.members.index(member)] = successor
        self._say(successor, self._opening)

    def _dismiss(self, member: Member) -> None:
        assert member.process.stdin and member.process.stdout
        if member.process.stdout.closed:
            return
        self._selector.unregister(member.process.stdout)
        if member.process.poll() is None:
            member.process.kill()
        member.process.wait()
        for stream in (member.process.stdin, member.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def close(self) -> None:
        """End all workers, whatever they are at."""
        for member in self.members:
            self._dismiss(member)
        self._selector.close()
