"""SCons tool: env.XtensaProgram builds for the ESP32's cores with the toolchain env["XTENSA"]."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mgbuild.sources import product
from SCons.Script import Action, Builder
from SCons.Script.SConscript import SConsEnvironment
from SCons.Tool import SourceFileScanner


def _builder(command: str, message: str, *further: Callable) -> Callable:
    action = [Action(command, message), *(Action(step, None) for step in further)]
    return Builder(action=action, source_scanner=SourceFileScanner, single_source=True)


def _without_unwinding(target: list, source: list, env: SConsEnvironment) -> None:
    """Drop the directives for unwinding, whose register names llvm-mc does not know; lines for debuggers stay."""
    listing = Path(str(target[0]))
    lines = listing.read_bytes().splitlines(keepends=True)
    listing.write_bytes(b"".join(line for line in lines if not line.startswith(b"\t.cfi_")))


_COMPILE = _builder("$XTENSA_COMPILE $_CPPINCFLAGS -c -o $TARGET $SOURCE", "compile $SOURCE")
_TO_ASSEMBLY = {
    ".c": _builder("$XTENSA_COMPILE -g $_CPPINCFLAGS -o $TARGET $SOURCE", "compile $SOURCE", _without_unwinding),
    ".S": _builder("$XTENSA_PREPROCESS $_CPPINCFLAGS -o $TARGET $SOURCE", "preprocess $SOURCE"),
}
_ASSEMBLE = {
    ".c": _builder("$XTENSA_ASSEMBLE -o $TARGET $SOURCE", "assemble $SOURCE"),
    ".S": _builder("$XTENSA_ASSEMBLE -g -o $TARGET $SOURCE", "assemble $SOURCE"),
}
_LINK = Builder(
    action=Action("$XTENSA_LINK -T $LINKER_SCRIPT $LINK_FLAGS -o $TARGET $SOURCES $XTENSA_LIBRARIES", "link $TARGET")
)


def _object(env: SConsEnvironment, folder: Path, source: Path) -> list:
    target = product(folder, source, ".o")
    if env["XTENSA"].name == "esp-idf":
        return _COMPILE(env, target, str(source))
    listing = _TO_ASSEMBLY[source.suffix](env, product(folder, source, ".s"), str(source))
    return _ASSEMBLE[source.suffix](env, target, listing)


def _program(
    env: SConsEnvironment, elf: str, sources: Sequence[Path], script: str, symbols: Mapping[str, int] | None = None
) -> object:
    """Node of an ELF linked as the script says, with a map beside it; symbols replace what the script provides."""
    objects = [_object(env, Path(elf).parent / "obj", path) for path in sources]
    map_file = str(Path(elf).with_suffix(".map"))
    flags = [f"-Map={map_file}", *(f"--defsym={name}={value}" for name, value in (symbols or {}).items())]
    literal = [env.Literal(env["XTENSA"].linker_prefix + flag) for flag in flags]
    nodes = _LINK(env, [elf, map_file], objects, LINKER_SCRIPT=script, LINK_FLAGS=literal)
    env.Depends(nodes, env.Glob("#linker/*.ld"))
    return nodes[0]


def generate(env: SConsEnvironment) -> None:
    for step in ("compile", "preprocess", "assemble", "link", "libraries"):
        env[f"XTENSA_{step.upper()}"] = getattr(env["XTENSA"], step, ())
    env.AddMethod(_program, "XtensaProgram")


def exists(env: SConsEnvironment) -> bool:
    return True
