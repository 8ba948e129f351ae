"""SCons tool: env.WebPage puts the page together; env.Serve shows it on this machine."""

import json
from collections.abc import Sequence
from pathlib import Path

from mgbuild import node, page_server
from mgbuild.errors import reporting
from mgbuild.plan import build_folder
from mgbuild.plan.options import Settings
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment

NPM = tuple(f"web/{name}" for name in node.NAMED_BY)
# What the page uses of the packages, and their licences; a bundle has others in it.
PACKAGED = (
    *("esptool-js/bundle.js", "esptool-js/LICENSE", "pako/LICENSE", "atob-lite/LICENSE.md"),
    *(f"@noble/hashes/{name}" for name in ("legacy.js", "_md.js", "_u64.js", "utils.js", "LICENSE")),
)


def _write_chip(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.device import transfer  # here, so that other targets take no package but SCons
    from mgbuild.firmware import image, memory

    elf, report = (Path(str(path)) for path in source[:2])
    layout = image.flash_layout(elf)
    chip = {
        "banks": list(memory.read(report).plan["banks"].values()),
        "flash": {
            "bytes": layout.capacity,
            "firmware": layout.firmware,
            "dataset": layout.dataset,
            "checkpoints": layout.dataset_end,
            "slots": transfer.slots(layout.capacity, layout.dataset_end),
        },
        "baud": int(source[2].read()),
    }
    build_folder.write(Path(str(target[0])), json.dumps(chip).encode())


def _copy(target: list, source: list, env: SConsEnvironment) -> None:
    build_folder.write(Path(str(target[0])), Path(str(source[0])).read_bytes())


def _fetch(target: list, source: list, env: SConsEnvironment) -> None:
    node.fetch_packages(Path("web"), Path(str(target[0])).parents[2])


def _page(env: SConsEnvironment, folder: str, module: list, firmware: dict, settings: Settings) -> list:
    """Nodes of the page's files: those of web/, the program, what it needs from npm, and the firmware for a board.

    firmware: the accepted files, by name.
    """
    files = [path for path in sorted(Path("web").iterdir()) if path.suffix in (".html", ".css", ".js")]
    fetched = env.Command(
        [f"{folder}/../npm/node_modules/{name}" for name in PACKAGED], NPM, Action(reporting(_fetch), "fetch $SOURCE")
    )
    env.Precious(env.MadeBy(fetched, node.__file__))
    copies: Sequence[tuple[object, str]] = [
        *((str(path), path.name) for path in files),
        *((package, f"packages/{name}") for package, name in zip(fetched, PACKAGED, strict=True)),
        ("LICENSE", "LICENSE"),
        *((program, Path(str(program)).name) for program in module),
        *((firmware[name], name) for name in ("dataset.bin", "firmware.bin")),
    ]
    action = Action(reporting(_copy), "make $TARGET")
    nodes = [env.Command(f"{folder}/{name}", source, action) for source, name in copies]
    known = [firmware["firmware.elf"], firmware["memory.json"], env.Value(str(settings.baud))]
    chip = env.Command(f"{folder}/chip.json", known, Action(reporting(_write_chip), "write $TARGET"))
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
