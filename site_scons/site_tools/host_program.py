"""SCons tool: env.HostProgram and env.HostLibrary build with this machine's C compiler, env["HOST"]."""

from collections.abc import Sequence
from pathlib import Path

from mgbuild.plan.sources import product
from SCons.Script import Action, Builder
from SCons.Script.SConscript import SConsEnvironment
from SCons.Tool import SourceFileScanner


def _objects(env: SConsEnvironment, folder: Path, sources: Sequence[Path], flag: object) -> list:
    return [env.HostObject(product(folder, path, ".o"), str(path), HOST_FLAGS=[flag]) for path in sources]


def _program(env: SConsEnvironment, target: str, sources: Sequence[Path], dataset: list) -> list:
    """Node of an executable; its sources find the path of the data set image in DATASET_FILE, to embed it."""
    embedded = env.Literal(f'-DDATASET_FILE="{dataset[0]}"')
    objects = _objects(env, Path(target).parent / "obj", sources, embedded)
    env.Depends([node for node, path in zip(objects, sources, strict=True) if path.suffix == ".S"], dataset)
    return env.HostLink(target, objects)


def _library(env: SConsEnvironment, target: str, sources: Sequence[Path]) -> list:
    """Node of a shared library."""
    objects = _objects(env, Path(target).parent / "pic", sources, "-fPIC")
    # Bound to its own symbols: a Python that is linked with zlib has a crc32 too.
    return env.HostLink(target, objects, HOST_FLAGS=["-shared", "-Wl,-Bsymbolic"])


def generate(env: SConsEnvironment) -> None:
    env["HOST_COMPILE"] = env["HOST"].compile
    env["HOST_CC"] = env["HOST"].cc
    env["BUILDERS"]["HostObject"] = Builder(
        action=Action("$HOST_COMPILE $HOST_FLAGS $_CPPINCFLAGS -c -o $TARGET $SOURCE", "compile $SOURCE"),
        source_scanner=SourceFileScanner,
        single_source=True,
    )
    env["BUILDERS"]["HostLink"] = Builder(action=Action("$HOST_CC $HOST_FLAGS -o $TARGET $SOURCES -lm", "link $TARGET"))
    env.AddMethod(_program, "HostProgram")
    env.AddMethod(_library, "HostLibrary")


def exists(env: SConsEnvironment) -> bool:
    return True
