"""The compiled code under the address and undefined-behaviour sanitizers, and without warnings."""

import os
import subprocess

import paths
import pytest
import served

from charlens.backends import compiler, cpu
from charlens.errors import InputError

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only"]


@pytest.fixture(scope="module")
def compiler_command():
    try:
        return [*compiler.find()[0], "-std=c++17", "-ffp-contract=off"]
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def sanitizing(compiler_command, tmp_path_factory):
    """The compiler's command with sanitizers; what it made of an empty program has to run."""
    command = [*compiler_command, *SANITIZE]
    program = tmp_path_factory.mktemp("sanitizers") / "empty"
    done = run([*command, "-x", "c++", "-", "-o", program], input="int main() {}")
    if done.returncode or run([program]).returncode:
        pytest.skip(f"{command[0]} has no sanitizers here: {done.stderr.strip()[:200]}")
    return command


def run(command, **more):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **more)


@pytest.mark.parametrize("isa", paths.TESTABLE or ["none"])
def test_random_small_networks_break_no_rule(isa, sanitizing, tmp_path):
    if not paths.TESTABLE:
        pytest.skip(paths.NONE)
    program = tmp_path / "sanitized"
    source = paths.HERE / "sanitized.cpp"
    command, start = sanitizing, [program]
    if paths.emulated(isa):  # slow: fewer networks
        start = [program, 16]
    if isa == "neon" and paths.emulated(isa):
        command = [served.COMPILER, *sanitizing[1:]]
        start = [*served.EMULATE, program, 8]
    # sanitized code takes four times as long to optimise as it then saves
    options = ["-I", cpu.build.HERE, *paths.options(isa), "-O0"]
    built = run([*command, *options, source, "-o", program])
    assert built.returncode == 0, built.stderr
    done = run(start, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-5000:]
    assert done.stdout.endswith("done\n")


@pytest.mark.parametrize("isa", cpu.build.NEEDS)
def test_no_warnings(isa, compiler_command):
    """Of every path that the compiler knows, whatever this processor runs."""
    if isa == "neon" and served.AVAILABLE:
        compiler_command = [served.COMPILER, *compiler_command[1:]]
    if run(
        [*compiler_command, *cpu.build.options(isa), "-fsyntax-only", "-x", "c++", "/dev/null"]
    ).returncode:
        pytest.skip(f"the compiler does not know {isa}")
    done = run([*compiler_command, *cpu.build.options(isa), *WARNINGS, *cpu.build.units()])
    assert done.returncode == 0, done.stderr
