"""The program as a WebAssembly module: the bits of every other target, and what a page relies on."""

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Programs
from mgbuild.errors import UserError
from mgbuild.plan import dataset, toolchain
from microgpt.plan import plan
from wasm import module, node


@pytest.fixture(scope="module")
def folder(programs: Programs) -> Path:
    """Folder with microgpt.wasm and kernels.wasm."""
    return module(programs, "microgpt.wasm").parent


def ask(program: Path, text: Path, commands: list[str], *banks: int) -> list[dict[str, Any]]:
    """Answers to commands, each {lines, error}; the first is what the program began with."""
    return node("ask.mjs", program, text, json.dumps(commands), *map(str, banks))


def test_the_fused_multiply_add_is_fmaf(programs: Programs, folder: Path, tmp_path: Path) -> None:
    """On millions of values, most of them next to a tie, subnormal, cancelling, overflowing or not finite."""
    cases = tmp_path / "cases"
    source = ROOT / "tests/page/fma_cases.c"
    compile_words = [toolchain.find_host().cc, "-std=c17", "-O2", "-ffp-contract=off", "-o", cases, source, "-lm"]
    subprocess.run(compile_words, check=True)
    kernels = module(programs, "kernels.wasm")
    for seed in (1, 2):
        rows = tmp_path / "rows"
        with rows.open("wb") as file:
            subprocess.run([cases, "4000000", str(seed)], stdout=file, check=True)
        assert node("compare_fma.mjs", kernels, rows) == {"rows": 4_000_000, "wrong": 0, "first": []}


def test_seed_42_has_its_names_and_its_checksum(programs: Programs, folder: Path) -> None:
    _, trained = ask(folder / "microgpt.wasm", programs.dataset(), ["train"])
    golden = json.loads((ROOT / "tests/golden/microgpt-seed42.json").read_text())
    names = [line.partition(": ")[2] for line in trained["lines"] if line.startswith("sample")]
    assert names == golden["samples"]
    assert trained["lines"][-1] == "weights crc32: e5240774"


@pytest.mark.parametrize(
    "chosen",
    [
        {"seed": 7, "steps": 300},
        {"seed": 123456789012, "n_embd": 24, "n_head": 3, "n_layer": 2, "block_size": 9, "steps": 150},
        {"seed": 3, "n_embd": 5, "n_head": 1, "block_size": 3, "steps": 120, "lr": 0.05, "temperature": 1.3},
    ],
)
def test_other_settings_have_the_lines_of_this_machine(
    chosen: dict[str, object], programs: Programs, folder: Path
) -> None:
    words = " ".join(f"{name}={value}" for name, value in chosen.items())
    _, _, trained = ask(folder / "microgpt.wasm", programs.dataset(), [f"set {words}", "train"])
    lines = [line for line in trained["lines"] if not line.startswith("# ")]
    assert lines == programs.run_host(**chosen).stdout.splitlines()


def test_a_stopped_run_ends_with_the_same_bits(programs: Programs, folder: Path) -> None:
    commands = ["set samples=5", "train 900", "^C", "names 3", "loss emma", "train"]
    *_, stopped, names, _, trained = ask(folder / "microgpt.wasm", programs.dataset(), commands)
    assert stopped["lines"][-1].startswith("# stopped at step ")
    assert len(names["lines"]) == 3
    assert trained["lines"][-1] == "weights crc32: e5240774"


def test_answers_end_where_they_end(programs: Programs, folder: Path) -> None:
    commands = ["bogus", "next ^", "x" * 300, "loss é", "info", "> ", " ", "next ma"]
    answers = ask(folder / "microgpt.wasm", programs.dataset(), commands)
    assert [answer["error"].partition(" ")[0] for answer in answers] == [
        "",
        "no",
        "the",
        "the",
        "the",
        "",
        "no",
        "",
        "",
    ]
    assert answers[5]["lines"][1] == "a WebAssembly module"


def test_the_program_says_when_it_has_ended(programs: Programs, folder: Path) -> None:
    reset, after = ask(folder / "microgpt.wasm", programs.dataset(), ["reset", "info"])[1:]
    assert "reset" in reset["error"]
    assert after["error"] == reset["error"]


def test_the_check_of_kernels_and_gradients_passes(programs: Programs, folder: Path) -> None:
    answer = ask(folder / "microgpt.wasm", programs.dataset(), ["train 30", "check"])[2]
    assert answer["error"] == ""
    assert answer["lines"][-1].endswith("checks, all right")


def test_memory_can_be_the_chips(programs: Programs, folder: Path) -> None:
    """The same sentence as the plan's, for the same banks."""
    banks = [100_000, 50_000]
    wanted = {"n_embd": 64, "n_head": 4, "n_layer": 2, "block_size": 16, "steps": 1000}
    expected = plan(banks, vocab_size=27, documents=32033, path=programs.library(), **wanted)
    words = " ".join(f"{name}={value}" for name, value in wanted.items())
    answer = ask(folder / "microgpt.wasm", programs.dataset(), [f"set {words}"], *banks)[1]
    assert answer["error"] == f"nothing was changed: {expected.sentence}"


def write_texts(folder: Path, texts: list[bytes]) -> list[Path]:
    paths = [folder / f"{index}.txt" for index in range(len(texts))]
    for path, content in zip(paths, texts, strict=True):
        path.write_bytes(content)
    return paths


def test_the_page_packs_texts_as_the_build_does(tmp_path: Path) -> None:
    strange = "".join(map(chr, range(1, 0x2100))).split("\n")
    spaces = [f"{chr(code)}a{chr(code)}b{chr(code)}" for code in range(1, 0x3100) if chr(code).isspace()]
    edge = [" \x1f\u2028a\ufeff", "b\x85"]
    texts = [
        (ROOT / "data/names.txt").read_bytes(),
        "\ufeffзоя\r\nanna\r\rbo b\n\n  \n😀🎉\n".encode(),
        "\n".join([line[:200] for line in strange][:1]).encode(),
        "\n".join(edge).encode(),
        *("\n".join(spaces[i : i + 100]).encode() for i in range(0, len(spaces), 100)),
        b"a",
        b"one line without an end" * 20_000,
        b"a" + b" " * 300_000 + b"b",
        b"x\n" * 65535,
    ]
    paths = write_texts(tmp_path, texts)
    for path, found in zip(paths, node("pack.mjs", *paths), strict=True):
        assert base64.b64decode(found["image"]) == dataset.pack(path), path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "text is empty"),
        (b" \n\r\n\t", "text is empty"),
        (b"good\nb\xffd\n", "line 2 has a byte"),
        ("names".encode("utf-16"), "UTF-16"),
        (b"a\0b", "no UTF-8 text"),
        (b"x\n" * 65536, "65,536 lines"),
        ("\n".join(map(chr, range(0x4E00, 0x4F00))).encode(), "256 different characters"),
    ],
)
def test_a_text_that_the_build_refuses_is_refused_by_the_page(text: bytes, words: str, tmp_path: Path) -> None:
    [path] = write_texts(tmp_path, [text])
    with pytest.raises(UserError):
        dataset.pack(path)
    assert words in node("pack.mjs", path)[0]["error"]


DISTURBED = "the answer was disturbed on its way; ask again"


def test_the_pages_console_gets_over_what_a_board_says_wrong() -> None:
    """Each case: the error, the lines, and what was typed, Ctrl-C where a board has been silent for long."""
    stopped = "\x03info\n\x03"
    assert node("console.mjs") == {
        "as it should": ["", ["x"], "\x03info\n"],
        "no echo": ["", ["x"], "\x03info\n"],
        "a document like a prompt": ["", ["> ", "> x"], "\x03info\n"],
        "an error": ["no such thing", ["error: no such thing"], "\x03info\n"],
        "a damaged prompt": ["", ["x"], "\x03info\n"],
        "a damaged ok": [DISTURBED, ["x", "o\ufffd"], "\x03info\n"],
        "a lost line end": [DISTURBED, ["x"], "\x03info\n"],
        "a damaged echo": ["", ["in\ufffdo", "x"], "\x03info\n"],
        "silence, until it is stopped": [DISTURBED, ["^C"], stopped],
        "silence": ["the board does not answer; press EN (RST) on it, or connect it again", [], stopped + "\x03"],
        "a restart": ["the board has started again", ["x", "a prompt"], stopped],
        "a long training": ["", ["x"], "\x03train 5\n"],
        "a long answer": ["", ["x"], stopped],
    }


def test_packages_from_npm_are_pinned_and_their_licences_come_along(page_folder: Path) -> None:
    pinned = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    packages = {path.removeprefix("node_modules/"): entry for path, entry in pinned.items() if path}
    assert packages
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    text = (page_folder / "index.html").read_text()
    for name in packages:
        (licence,) = (page_folder / "packages" / name).glob("LICENSE*")
        assert f'href="{licence.relative_to(page_folder)}"' in text
    linked = re.findall(r'(?:href|src)="([^"#:]+)"', text)
    assert linked and all((page_folder / file).is_file() for file in linked)
