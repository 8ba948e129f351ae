"""SCons tool: env.WebPage puts the page together; env.Serve shows it on this machine."""

import json
from collections.abc import Sequence
from pathlib import Path

from mgbuild import page_server
from mgbuild.errors import reporting
from mgbuild.plan import build_folder
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _write_chip(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.firmware import memory  # here, so that other targets take no package but SCons

    banks = memory.read(Path(str(source[0]))).plan["banks"]
    build_folder.write(Path(str(target[0])), json.dumps({"banks": list(banks.values())}).encode())


def _copy(target: list, source: list, env: SConsEnvironment) -> None:
    build_folder.write(Path(str(target[0])), Path(str(source[0])).read_bytes())


def _page(env: SConsEnvironment, folder: str, module: list, dataset: list, report: object) -> list:
    """Nodes of the page's files: those of web/, the program, its data set, and what memory the chip leaves a model."""
    files = [path for path in sorted(Path("web").iterdir()) if path.suffix in (".html", ".css", ".js")]
    copies: Sequence[tuple[object, str]] = [
        *((str(path), path.name) for path in files),
        ("LICENSE", "LICENSE"),
        *((node, Path(str(node)).name) for node in (*module, *dataset)),
    ]
    action = Action(reporting(_copy), "make $TARGET")
    nodes = [env.Command(f"{folder}/{name}", source, action) for source, name in copies]
    chip = env.Command(f"{folder}/chip.json", report, Action(reporting(_write_chip), "write $TARGET"))
    return [*nodes, env.MadeBy(chip, __file__)]


def _serve(env: SConsEnvironment, name: str, page: list, folder: str) -> list:
    """Target `name`: serve the page's folder until Ctrl-C."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        page_server.serve(Path(folder))

    return env.OnTerminal(env.Alias(name, page, Action(reporting(env.LeavingFolder(execute)), None)))


def generate(env: SConsEnvironment) -> None:
    env.Tool("terminal_run")
    env.AddMethod(_page, "WebPage")
    env.AddMethod(_serve, "Serve")


def exists(env: SConsEnvironment) -> bool:
    return True
