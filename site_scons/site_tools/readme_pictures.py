"""SCons tool: env.Pictures is a target that makes the pictures which README shows."""

from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.plan import build_folder
from SCons.Script import Action
from SCons.Script.SConscript import SConsEnvironment


def _pictures(
    env: SConsEnvironment, name: str, page: list, web: str, library: list, dataset: list, report: str
) -> list:
    """Target `name`: draw and shoot what the page in the folder `web`, the library and the firmware's report show."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        from mgbuild.pictures import gallery  # here, so that other targets take no package but SCons

        paths = (Path(str(node)) for node in (library[0], dataset[0], report))
        for picture, content in gallery.pictures(Path(web), *paths).items():
            gallery.FOLDER.mkdir(exist_ok=True)
            build_folder.write(gallery.FOLDER / picture, content)
            print(f"{gallery.FOLDER / picture}: {len(content):,} bytes")

    needs = [*page, *library, *dataset, report]
    return env.OnTerminal(env.Alias(name, needs, Action(reporting(execute), "draw pictures")))


def generate(env: SConsEnvironment) -> None:
    env.Tool("terminal_run")
    env.AddMethod(_pictures, "Pictures")


def exists(env: SConsEnvironment) -> bool:
    return True
