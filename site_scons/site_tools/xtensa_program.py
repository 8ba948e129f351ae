"""SCons tool: env.XtensaProgram builds for the ESP32's cores with the toolchain env["XTENSA"]."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mgbuild.errors import reporting
from mgbuild.firmware import listing
from mgbuild.plan import build_folder
from mgbuild.plan.sources import product
from SCons.Script import Action, Builder
from SCons.Script.SConscript import SConsEnvironment
from SCons.Tool import SourceFileScanner

EMULATED_SCRIPT = "linker/sim.ld"


def _builder(command: str, message: str, *further: Callable) -> Callable:
    action = [Action(command, message), *(Action(step, None) for step in further)]
    return Builder(action=action, source_scanner=SourceFileScanner, single_source=True)


def _finishing(*steps: Callable) -> Callable:
    """Action that rewrites the assembly text just made, a function of lines after another."""

    def execute(target: list, source: list, env: SConsEnvironment) -> None:
        path = Path(str(target[0]))
        lines = path.read_text(encoding="latin-1").split("\n")  # strings may hold any bytes
        for step in steps:
            lines = step(lines)
        path.write_text("\n".join(lines), encoding="latin-1")

    return execute


def _check_code(target: list, source: list, env: SConsEnvironment) -> None:
    # here, so that building for the host takes no package but SCons
    from mgbuild.emulated import emulator
    from mgbuild.firmware import loops

    elf = Path(str(target[0]))
    loops.check(elf)
    if env["LINKER_SCRIPT"] == EMULATED_SCRIPT:
        emulator.check_instructions(elf)


_COMPILE = _builder("$XTENSA_COMPILE $EMBEDDED_FLAGS $_CPPINCFLAGS -c -o $TARGET $SOURCE", "compile $SOURCE")
_PREPROCESS = _builder("$XTENSA_PREPROCESS $EMBEDDED_FLAGS $_CPPINCFLAGS -o $TARGET $SOURCE", "preprocess $SOURCE")
_LIST = {
    ".c": _builder(
        "$XTENSA_COMPILE -g $_CPPINCFLAGS -o $TARGET $SOURCE",
        "compile $SOURCE",
        _finishing(listing.finish),
    ),
    ".S": _builder(
        "$XTENSA_EXPAND -o $TARGET $SOURCE",
        "expand $SOURCE",
        _finishing(listing.without_macros, listing.finish),
    ),
}
_ASSEMBLE = {
    ".c": _builder("$XTENSA_ASSEMBLE -o $TARGET $SOURCE", "assemble $SOURCE"),
    ".S": _builder("$XTENSA_ASSEMBLE -g -o $TARGET $SOURCE", "assemble $SOURCE"),
}
_LINK = Builder(
    action=[
        Action("$XTENSA_LINK -T $LINKER_SCRIPT $LINK_FLAGS -o $TARGET $SOURCES $XTENSA_LIBRARIES", "link $TARGET"),
        Action(reporting(_check_code), None),
    ]
)


def _object(env: SConsEnvironment, folder: Path, source: Path) -> list:
    target = product(folder, source, ".o")
    flags = env.EmbeddedFlags() if source.suffix == ".S" else []
    if env["XTENSA"].name == "esp-idf":
        return env.DependOnEmbedded(_COMPILE(env, target, str(source), EMBEDDED_FLAGS=flags), source)
    text = str(source)
    if source.suffix == ".S":
        text = _PREPROCESS(env, product(folder, source, ".i"), text, EMBEDDED_FLAGS=flags)
    text = env.DependOnEmbedded(_LIST[source.suffix](env, product(folder, source, ".s"), text), source)
    env.MadeBy(text, listing.__file__)
    return env.DependOnEmbedded(_ASSEMBLE[source.suffix](env, target, text), source)


def _program(
    env: SConsEnvironment,
    elf: str,
    sources: Sequence[Path],
    script: str,
    symbols: Mapping[str, int] | None = None,
    flag_file: object | None = None,
) -> object:
    """Node of an ELF linked as the script says, with a map beside it.

    symbols: replace what the script provides; flag_file: node of a file with more flags.
    """
    objects = [_object(env, Path(elf).parent / "obj", path) for path in sources]
    map_file = str(Path(elf).with_suffix(".map"))
    flags = [f"-Map={map_file}", *(f"--defsym={name}={value}" for name, value in (symbols or {}).items())]
    literal = [env.Literal(word) for flag in flags for word in env["XTENSA"].for_linker(flag)]
    if flag_file:
        literal.append(env.Literal(f"@{flag_file}"))
    nodes = _LINK(env, [elf, map_file], objects, LINKER_SCRIPT=script, LINK_FLAGS=literal)
    env.Depends(nodes, [env.Glob("#linker/*.ld"), flag_file or []])
    env.MadeBy(nodes, __file__)
    return nodes[0]


def _measure_stack(target: list, source: list, env: SConsEnvironment) -> None:
    from mgbuild.firmware import stack  # here, so that building for the host takes no package but SCons

    found = stack.of_firmware(Path(str(source[0])))
    words = [word for flag in found.linker_flags for word in env["XTENSA"].for_linker(flag)]
    for node, content in zip(target, (found.as_json(), "\n".join(words) + "\n"), strict=True):
        build_folder.write(Path(str(node)), content.encode())


def _sized_program(
    env: SConsEnvironment, elf: str, sources: Sequence[Path], script: str, symbols: Mapping[str, int]
) -> tuple[object, object]:
    """Nodes of an ELF whose stacks are as large as its code can need, and of the JSON about them.

    It is linked twice: the size of a stack changes no code.
    """
    folder, stem = Path(elf).parent, Path(elf).stem
    draft = _program(env, str(folder / f"{stem}-draft.elf"), sources, script, symbols)
    targets = [str(folder / "stack.json"), str(folder / "stack.flags")]
    report, flags = env.Command(targets, draft, Action(reporting(_measure_stack), "bound the stack of $SOURCE"))
    env.MadeBy([report, flags], __file__)
    return _program(env, elf, sources, script, symbols, flags), report


def generate(env: SConsEnvironment) -> None:
    env.Tool("embedded_files")
    for step in ("compile", "preprocess", "expand", "assemble", "link", "libraries"):
        env[f"XTENSA_{step.upper()}"] = getattr(env["XTENSA"], step, ())
    env.AddMethod(_program, "XtensaProgram")
    env.AddMethod(_sized_program, "SizedProgram")


def exists(env: SConsEnvironment) -> bool:
    return True
