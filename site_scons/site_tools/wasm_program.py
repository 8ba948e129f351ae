"""SCons tool: env.WasmProgram builds WebAssembly modules with the toolchain env["WASM"]."""

from collections.abc import Sequence
from pathlib import Path

from mgbuild.plan.sources import product
from SCons.Script import Action, Builder
from SCons.Script.SConscript import SConsEnvironment
from SCons.Tool import SourceFileScanner


def _program(env: SConsEnvironment, target: str, sources: Sequence[Path], exports: Sequence[str]) -> list:
    """Node of a module that shows these functions, and those that its sources name for export."""
    objects = []
    for path in sources:
        flags = env.EmbeddedFlags() if path.suffix == ".S" else []
        node = env.WasmObject(product(Path(target).parent / "obj", path, ".o"), str(path), WASM_FLAGS=flags)
        objects.append(env.DependOnEmbedded(node, path))
    return env.WasmLink(target, objects, WASM_EXPORTS=[f"--export={name}" for name in exports])


def generate(env: SConsEnvironment) -> None:
    env.Tool("embedded_files")
    env["WASM_COMPILE"] = env["WASM"].compile
    env["WASM_LINKER"] = env["WASM"].link
    env["BUILDERS"]["WasmObject"] = Builder(
        action=Action("$WASM_COMPILE $WASM_FLAGS $_CPPINCFLAGS -c -o $TARGET $SOURCE", "compile $SOURCE"),
        source_scanner=SourceFileScanner,
        single_source=True,
    )
    env["BUILDERS"]["WasmLink"] = Builder(
        action=Action("$WASM_LINKER $WASM_EXPORTS -o $TARGET $SOURCES", "link $TARGET")
    )
    env.AddMethod(_program, "WasmProgram")


def exists(env: SConsEnvironment) -> bool:
    return True
