"""Which files of src_c a program is made of, and where their objects go."""

from pathlib import Path

ROOT = Path("src_c")


def sources(*folders: str) -> list[Path]:
    """Every C and assembly file directly in these folders of src_c, sorted."""
    files = [path for folder in folders for path in (ROOT / folder).glob("*")]
    return sorted(path for path in files if path.suffix in (".c", ".S"))


def product(folder: str | Path, source: str | Path, suffix: str) -> str:
    """Path under `folder` for what is made from a source, in the layout of src_c."""
    return str(Path(folder) / Path(source).relative_to(ROOT).with_suffix(suffix))
