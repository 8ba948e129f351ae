"""SCons tool: files that assembly sources take into the program with .incbin, by the macros of env["EMBEDDED"]."""

from pathlib import Path

from SCons.Script.SConscript import SConsEnvironment


def _flags(env: SConsEnvironment) -> list:
    """Flags for the preprocessor: each macro is the path of its file, in quotes."""
    return [env.Literal(f'-D{macro}="{node[0]}"') for macro, node in env["EMBEDDED"].items()]


def _depend(env: SConsEnvironment, made: list, source: Path) -> list:
    """What is made from a source, depending on the files that it embeds."""
    text = source.read_text(encoding="utf-8") if source.suffix == ".S" else ""
    env.Depends(made, [node for macro, node in env["EMBEDDED"].items() if macro in text])
    return made


def generate(env: SConsEnvironment) -> None:
    env.SetDefault(EMBEDDED={})
    env.AddMethod(_flags, "EmbeddedFlags")
    env.AddMethod(_depend, "DependOnEmbedded")


def exists(env: SConsEnvironment) -> bool:
    return True
