"""The build as a user meets it: what is rebuilt when, what mistakes look like, and a clean clone."""

import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mgbuild.emulated import emulator
from mgbuild.errors import UserError
from mgbuild.plan import build_folder, toolchain
from site_tools import flash_images

SHORT = ("steps=3", "samples=2")
ESP32_PRODUCTS = ("firmware.elf", "firmware.bin", "dataset.bin", "factory.bin", "memory.json", "memory.html")


@pytest.fixture(scope="module")
def clone(tmp_path_factory, root):
    """A copy of what the repository holds, as a clone would have it; without git, of all but hidden files."""
    copy = tmp_path_factory.mktemp("clean") / "clone"
    if not (root / ".git").exists():
        return shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".*", "build"))
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listing.split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(clone, scons):
    """A build folder, with blanks and commas in its name, in which every program of a clean clone has been built, in
    two jobs; and what was said."""
    build = clone / "my out, 1"
    result = scons("-j2", "esp32", "sim", "host", f"build={build}", *SHORT, cwd=clone)
    assert result.returncode == 0, result.stdout + result.stderr
    return build, result


@pytest.fixture
def again(clone, built, scons):
    """Function that asks the clone's build for more, in the folder where everything is built."""
    return lambda *words: scons(*words, f"build={built[0]}", *SHORT, cwd=clone)


def steps_of(output, *verbs):
    """Lines of the build's output that begin with one of these words."""
    return [line for line in output.splitlines() if line.startswith(verbs)]


def work_in(output):
    verbs = ("pack", "configure", "compile", "preprocess", "assemble", "link", "bound", "make", "measure", "judge")
    return steps_of(output, *verbs)


def folder_with(path, *programs):
    """A folder for PATH that has these programs and no other."""
    path.mkdir()
    for name in programs:
        found = shutil.which(name)
        assert found, f"{name} is not installed"
        (path / Path(name).name).symlink_to(found)
    return path


def bare_environment(path, home):
    """Environment with nothing of ours but this PATH."""
    return {"PATH": str(path), "HOME": str(home), "LC_ALL": "C.UTF-8"}


# What a build makes and says


def test_a_clean_clone_builds_every_program_in_two_jobs_and_they_agree(built):
    build, result = built
    for name in ESP32_PRODUCTS:
        assert (build / "esp32" / name).is_file()
    assert (build / "host/libmicrogpt.so").is_file()
    assert result.stdout.count("weights crc32: ") == 2
    assert len(set(steps_of(result.stdout, "weights crc32: "))) == 1
    own = steps_of(result.stdout, "# ")
    ends = [f"# as data: {build.name}/{name}/result.json; next: scons " for name in ("host", "sim")]
    assert sorted(line[: line.index("scons") + 6] for line in own) == ends, "only a board says more of its own"
    assert result.stderr == ""
    assert len(steps_of(result.stdout, "toolchain: ")) == 1


def test_toolchain_is_named_with_its_version(built):
    assert str(toolchain.find_xtensa()) in built[1].stdout


def test_memory_report_is_printed_after_the_link_and_again_on_request(built, again):
    build, result = built
    regions = json.loads((build / "esp32/memory.json").read_text())["regions"]
    assert {"dram", "iram", "flash"} <= set(regions)
    assert "static RAM" in result.stdout
    report = again("memory")
    assert report.returncode == 0
    assert "static RAM" in report.stdout
    assert "nothing changed" in report.stdout
    assert work_in(report.stdout) == []


def test_second_run_rebuilds_nothing(built, again):
    result = again()
    assert f"{built[0].name}/esp32/firmware.bin is ready" in result.stdout.splitlines()[-1]
    assert work_in(result.stdout) == []


@pytest.mark.parametrize("target", ["sim", "host"])
def test_second_run_of_a_program_only_runs_it(again, target):
    result = again(target)
    assert result.returncode == 0
    assert work_in(result.stdout) == []
    assert "weights crc32: " in result.stdout


def test_sim_reports_failure_by_status(tmp_path, built):
    broken = tmp_path / "dataset.bin"
    broken.write_bytes(b"not a data set")
    assert emulator.capture(built[0] / "sim/firmware.elf", broken, 60).returncode != 0


@pytest.mark.parametrize(
    "words", [("seed=7",), ("n_embd=32", "n_layer=2", "block_size=5"), ("steps=9", "lr=0.02")], ids=str
)
def test_an_option_of_the_model_or_the_run_changes_a_table_and_compiles_nothing(scons, programs, words):
    chosen = dict(word.split("=") for word in (*SHORT, *words))
    with programs.build_folder() as build:
        program = str(build / "host/microgpt")
        before = scons(program, f"build={build}", *SHORT)
        assert before.returncode == 0
        result = scons(program, f"build={build}", *(f"{name}={value}" for name, value in chosen.items()))
    assert result.returncode == 0
    assert steps_of(result.stdout, "write", "configure", "pack") == [f"write {build}/generated/settings.bin"]
    assert steps_of(result.stdout, "compile") == ["compile src_c/app/settings.S"]


def test_changes_reach_what_depends_on_them(clone, again):
    """Headers, linker scripts, the budget, the data set and the build's own Python are all dependencies."""

    def touched(name, text):
        path = clone / name
        original = path.read_text()
        path.write_text(original + text)
        try:
            return work_in(again("-n").stdout)
        finally:
            path.write_text(original)

    assert work_in(again("-n").stdout) == []
    assert any("compile src_c/core/forward.c" in line for line in touched("src_c/core/model.h", "\n#undef X\n"))
    assert any("link" in line for line in touched("linker/esp32.ld", "\n/* */\n"))
    assert touched("linker/budget.toml", "\n# \n")[0].startswith("measure")
    assert any("pack" in line for line in touched("data/names.txt", "\nzoe\n"))
    assert any("pack" in line for line in touched("site_scons/mgbuild/plan/dataset.py", "\n# \n"))
    assert any("run_config" in line for line in touched("site_scons/mgbuild/plan/configure.py", "\n# \n"))
    for module, work in (
        ("firmware/memory", {"measure", "judge"}),
        ("firmware/elf", {"bound", "make", "measure", "judge"}),
        ("plan/shape", {"configure", "measure", "judge"}),
        ("errors", {"pack", "configure", "bound", "make", "measure", "judge"}),
    ):
        assert {line.split()[0] for line in touched(f"site_scons/mgbuild/{module}.py", "\n# \n")} >= work, module
    assert touched("site_scons/mgbuild/device/monitor.py", "\n# \n") == []
    assert work_in(again("-n").stdout) == []


def test_cleaning_removes_everything_the_build_made(tmp_path, scons, built):
    build = shutil.copytree(built[0], tmp_path / "deep/out")
    assert (build / "host/microgpt").exists()
    assert scons("-c", "host", f"build={build}").returncode == 0
    assert not (build / "host").exists()
    assert (build / "dataset.bin").exists()
    assert scons("-c", f"build={build}").returncode == 0
    assert not build.exists()
    assert scons("-c", f"build={build}").returncode == 0


def test_cleaning_needs_no_compiler(tmp_path, scons):
    build = tmp_path / "out"
    assert scons(str(build / "dataset.bin"), f"build={build}").returncode == 0
    result = scons("-c", f"build={build}", env=bare_environment("/nonexistent", tmp_path))
    assert result.returncode == 0
    assert not build.exists()


@pytest.mark.parametrize("tag", [None, "Signature: 8a477f597d28d172789f06886806bc55\n# Made by another program.\n"])
def test_folders_of_others_are_spared(tmp_path, scons, tag):
    (tmp_path / "thesis.txt").write_text("years of work")
    if tag:
        (tmp_path / "CACHEDIR.TAG").write_text(tag)
    for words in (["-c"], ["host"]):
        result = scons(*words, f"build={tmp_path}")
        assert result.returncode == 2
        assert "already holds files that no build has made" in result.stderr
    assert len(list(tmp_path.iterdir())) == (2 if tag else 1)


def test_a_build_that_died_at_once_may_begin_again(tmp_path):
    for part in (b"", build_folder.MARK[:10], build_folder.MARK):
        (tmp_path / build_folder.TAG).write_bytes(part)
        assert build_folder.parse(str(tmp_path)) == tmp_path
        build_folder.make(tmp_path)
        assert (tmp_path / build_folder.TAG).read_bytes() == build_folder.MARK


def test_asking_what_would_be_done_makes_nothing(tmp_path, scons):
    result = scons("-n", f"build={tmp_path / 'out'}")
    assert result.returncode == 0, result.stderr
    assert "measure" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_any_text_can_be_learnt(tmp_path, scons, programs):
    text = tmp_path / "miasta i rzeki.txt"
    text.write_text("łódź\n\n  gdańsk \nżywiec\nwisła\n", encoding="utf-8")
    with programs.build_folder() as build:
        result = scons("sim", "host", f"dataset={text}", f"build={build}", *SHORT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("num docs: 4\nvocab size: 16\n") == 2
    assert len(set(steps_of(result.stdout, "weights crc32: "))) == 1


# Two builds at once


def test_a_build_waits_for_another_in_the_same_folder(tmp_path, scons):
    """With a sentence; the lock of one that is killed is free."""
    build = tmp_path / "out"
    lock = build_folder.Lock(build)
    words = [sys.executable, "-m", "SCons", "-Q", f"build={build}", str(build / "dataset.bin")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr.readline().startswith(f"another build is at work in {build}; waiting")
        assert not (build / "dataset.bin").exists()
        with lock.released():
            assert waiting.wait(timeout=120) == 0
    assert (build / "dataset.bin").exists()


def test_the_lock_outlives_a_killed_build_as_long_as_its_compiler_works(tmp_path, scons, esp_idf):
    """What that compiler still writes comes before what the next build makes."""
    gcc, build = esp_idf / "xtensa-esp32-elf-gcc", tmp_path / "out"
    gcc.write_text(gcc.read_text().replace(f'echo "$@" >> {tmp_path / "log"}', f"echo >{tmp_path}/begun; sleep 2"))
    (tmp_path / "begun").touch()
    env = {**os.environ, "PATH": f"{esp_idf}{os.pathsep}{os.environ['PATH']}"}
    words = [sys.executable, "-m", "SCons", "-Q", f"build={build}", str(build / "sim/firmware.elf")]
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL) as killed:
        while not (tmp_path / "begun").read_text():
            time.sleep(0.01)
        killed.kill()
    descriptor = os.open(build, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.close(descriptor)


def test_a_folder_that_is_removed_while_a_build_waits_is_made_again(tmp_path):
    build = tmp_path / "out"
    first = build_folder.Lock(build)
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(build_folder.Lock(build)))
    waiting.start()
    shutil.rmtree(build)
    os.close(first.descriptor)
    waiting.join(timeout=60)
    assert taken
    assert build_folder.TAG in os.listdir(build)


def test_two_programs_at_once_say_what_each_says_alone(tmp_path, scons, programs):
    """In one folder one after the other, in two folders side by side."""
    alone = [programs.run_host(seed=seed, steps=3, samples=2).stdout for seed in (0, 1)]
    with programs.build_folder() as one:
        for folders in (one, one), (one, tmp_path / "another"):
            running = [
                subprocess.Popen(
                    [sys.executable, "-m", "SCons", "-Q", "host", f"build={folder}", f"seed={seed}", *SHORT],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
                for seed, folder in enumerate(folders)
            ]
            for seed, process in enumerate(running):
                output = process.communicate(timeout=240)[0]
                assert alone[seed] in output
                assert process.returncode == 0


# Mistakes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["hots"], "unknown target hots; did you mean host?"),
        (["sim", "stesp=3"], "unknown option stesp= ; did you mean steps?"),
        (["host", "toolchain=gcc"], "toolchain=gcc is not one of the choices; valid: auto, esp-idf, llvm"),
        (["host", "n_head=3"], "n_embd=16 is not divisible by n_head=3"),
        (["host", "steps=0"], "steps=0 must be a whole number from 1 to 10000000"),
        (["host", "dataset=missing.txt"], "dataset=missing.txt does not exist"),
        (["monitor", "port=/dev/no-such-port"], "there is no port /dev/no-such-port"),
        (["erase", "port=/dev/no-such-port"], "there is no port /dev/no-such-port"),
        (["monitor", "port=/dev/null", "until=("], "until=( is no regular expression"),
        (["host", "seed=hw"], "seed=hw: only the chip draws its seed; give a number for host"),
        (["pictures", "n_embd=8"], "pictures shows the default program: leave out n_embd="),
    ],
)
def test_mistakes_end_with_a_message(scons, words, message):
    result = scons(*words)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "is empty"), (b"emma\nzo\xeb\n", "is not UTF-8: line 2"), (b"a\n" * 70000, "70000 documents")],
)
def test_a_bad_data_set_ends_with_a_message(tmp_path, scons, data, message):
    (tmp_path / "bad.txt").write_bytes(data)
    result = scons("host", f"dataset={tmp_path / 'bad.txt'}", f"build={tmp_path / 'out'}")
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_a_model_too_large_for_the_chip_fails_with_the_report_and_still_runs_elsewhere(scons, programs):
    with programs.build_folder() as build:
        for name in flash_images.ACCEPTED:
            (build / "esp32" / name).unlink(missing_ok=True)
        words = (f"build={build}", "n_embd=64", "steps=1", "samples=1")
        result = scons(*words)
        assert result.returncode == 2
        assert "dram" in result.stderr
        assert "Traceback" not in result.stdout + result.stderr
        assert not (build / "esp32/factory.bin").exists()
        page = build / "esp32/candidate/memory.html"
        said = result.stderr.splitlines()
        assert f"the report is {page}" in said
        assert f"{build / 'esp32'} holds nothing to flash" in said
        assert said[-1].endswith("] this firmware is refused")
        assert len(said) < 10
        assert max(len(line) for line in said if str(build) not in line) <= 80
        assert "Static RAM" in page.read_text()
        assert "too many" in page.read_text()
        assert scons("host", "sim", *words).returncode == 0


def test_help_works_without_any_tool(tmp_path, scons, root):
    result = scons("-h", env=bare_environment("/nonexistent", tmp_path))
    assert result.returncode == 0
    for word in ("esp32", "sim", "host", "flash", "seed=42", "dataset=data/names.txt", "toolchain=auto"):
        assert word in result.stdout


def test_no_compiler_at_all(tmp_path, scons):
    env = bare_environment("/nonexistent", tmp_path)
    for target, packages in (
        ("esp32", "clang-22 llvm-22 binutils-xtensa-lx106"),
        ("sim", "clang-22 llvm-22 binutils-xtensa-lx106"),
        ("host", "gcc libc6-dev"),
    ):
        result = scons(target, f"build={tmp_path / 'out'}", env=env)
        assert result.returncode == 2
        assert f"apt install {packages})" in result.stderr
        assert "Traceback" not in result.stdout + result.stderr


def test_host_needs_neither_cross_compiler_nor_emulator(tmp_path, scons):
    env = bare_environment(folder_with(tmp_path / "bin", "sh", "gcc", "as", "ld"), tmp_path)
    result = scons("host", f"build={tmp_path / 'out'}", *SHORT, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "weights crc32: " in result.stdout


def test_no_emulator(tmp_path, scons):
    chip = toolchain.find_xtensa()
    programs = [chip.gcc] if chip.name == "esp-idf" else [chip.clang, chip.assembler, chip.linker]
    env = bare_environment(folder_with(tmp_path / "bin", "sh", *programs), tmp_path)
    result = scons("sim", f"build={tmp_path / 'out'}", env=env)
    assert result.returncode == 2
    assert "qemu-system-misc" in result.stderr
    result = scons(str(tmp_path / "out/sim/kernel_runner.elf"), f"build={tmp_path / 'out'}", *SHORT, env=env)
    assert result.returncode == 0, result.stdout + result.stderr


# The toolchain of ESP-IDF, played by a script


@pytest.fixture
def esp_idf(tmp_path):
    """A folder with an xtensa-esp32-elf-gcc that notes its arguments and writes ELF files with nothing in them."""
    return fake_gcc(tmp_path / "bin/xtensa-esp32-elf-gcc", tmp_path / "log")


def fake_gcc(path, log):
    path.parent.mkdir(parents=True)
    nothing = path.with_name("nothing.elf")  # a header for Xtensa, without segments and sections
    nothing.write_bytes(
        b"\x7fELF\1\1\1".ljust(16, b"\0") + struct.pack("<2H5I6H", 2, 94, 1, 0, 0, 0, 0, 52, 0, 0, 40, 0, 0)
    )
    path.write_text(
        "#!/bin/sh\n"
        '[ "$1" = -dumpfullversion ] && echo 14.2.0 && exit\n'
        f'echo "$@" >> {log}\n'
        f'while [ "$#" -gt 1 ]; do [ "$1" = -o ] && cp {nothing} "$2"; shift; done\n'
    )
    path.chmod(0o755)
    return path.parent


def test_esp_idf_is_preferred_and_used_directly(tmp_path, scons, esp_idf):
    env = {**os.environ, "PATH": f"{esp_idf}{os.pathsep}{os.environ['PATH']}"}
    elf = tmp_path / "out/sim/firmware.elf"
    result = scons(str(elf), f"build={tmp_path / 'out'}", env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "toolchain: esp-idf (xtensa-esp32-elf-gcc 14.2.0)\n" in result.stdout
    calls = (tmp_path / "log").read_text().splitlines()
    assert all("-mlongcalls" in call and "-Werror" in call for call in calls[:-1])
    assert any(call.endswith("src_c/board/xtensa/vectors.S") for call in calls)
    assert f"-T linker/sim.ld -Xlinker -Map={elf.with_suffix('.map')}" in calls[-1]
    assert calls[-1].endswith("-lgcc")


def test_bench_goes_on_without_webassembly_and_says_so(tmp_path, scons, esp_idf):
    folder_with(tmp_path / "others", "sh", "gcc", "as", "ld", "qemu-system-xtensa")
    env = bare_environment(f"{esp_idf}{os.pathsep}{tmp_path / 'others'}", tmp_path)
    result = scons("-n", "bench", f"build={tmp_path / 'out'}", env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    said = "WebAssembly is not measured: no compiler for WebAssembly: clang-22 and wasm-ld-22 not on PATH"
    assert said in result.stdout
    assert "wasm/" not in result.stdout.replace(said, "")
    result = scons("-n", "web", f"build={tmp_path / 'out'}", env=env)
    assert result.returncode == 2
    assert "no compiler for WebAssembly" in result.stderr


def test_llvm_is_taken_where_it_is_asked_for(tmp_path, scons, esp_idf):
    try:
        toolchain.find_xtensa("llvm")
    except UserError as error:
        pytest.skip(str(error))
    env = {**os.environ, "PATH": f"{esp_idf}{os.pathsep}{os.environ['PATH']}"}
    assert "toolchain: llvm" in scons("-n", f"build={tmp_path / 'out'}", "toolchain=llvm", env=env).stdout


def test_esp_idf_is_found_where_its_installer_puts_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("IDF_TOOLS_PATH", str(tmp_path))
    with pytest.raises(UserError, match=f"under {tmp_path / 'tools'}; install ESP-IDF"):
        toolchain.find_xtensa("esp-idf")
    program = Path("tools/xtensa-esp-elf/esp-14.2.0/xtensa-esp-elf/bin/xtensa-esp-elf-gcc")
    fake_gcc(tmp_path / program, tmp_path / "log")
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    found = toolchain.find_xtensa("auto")
    assert isinstance(found, toolchain.EspIdf)
    assert Path(found.gcc) == tmp_path / program
    assert "-mdynconfig=xtensa_esp32.so" in found.compile
    assert "-mdynconfig=xtensa_esp32.so" in found.link
