"""SCons tool: env.HostProgram and env.HostLibrary build with this machine's C compiler, env["HOST"]."""

from collections.abc import Sequence
from pathlib import Path

from mgbuild.plan.sources import product
from SCons.Script import Action, Builder
from SCons.Script.SConscript import SConsEnvironment
from SCons.Tool import SourceFileScanner


def _objects(env: SConsEnvironment, folder: Path, sources: Sequence[Path], *flags: object) -> list:
    return [
        env.DependOnEmbedded(env.HostObject(product(folder, path, ".o"), str(path), HOST_FLAGS=[*flags]), path)
        for path in sources
    ]


def _program(env: SConsEnvironment, target: str, sources: Sequence[Path]) -> list:
    """Node of an executable; its sources embed the files of env["EMBEDDED"]."""
    return env.HostLink(target, _objects(env, Path(target).parent / "obj", sources, *env.EmbeddedFlags()))


def _library(env: SConsEnvironment, target: str, sources: Sequence[Path], exports: str = "") -> list:
    """Node of a shared library; exports: file that names the symbols it shows, else all."""
    objects = _objects(env, Path(target).parent / "pic", sources, "-fPIC")
    # Bound to its own symbols: a Python that is linked with zlib has a crc32 too.
    flags = ["-shared", "-Wl,-Bsymbolic", *([f"-Wl,--version-script={exports}"] if exports else [])]
    library = env.HostLink(target, objects, HOST_FLAGS=flags)
    env.Depends(library, [exports] if exports else [])
    return library


def generate(env: SConsEnvironment) -> None:
    env.Tool("embedded_files")
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
