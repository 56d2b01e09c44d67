"""The C++ compiler of this machine, which builds KenLM and the CPU backend."""

import contextlib
import os
import shlex
import subprocess

from charlens.errors import InputError


def find() -> tuple[list[str], str]:
    """The compiler's command ($CXX, or the first usual name that runs), and its version line.

    Raises InputError where none runs.
    """
    chosen = os.environ.get("CXX")
    for name in [chosen] if chosen else ["c++", "g++", "clang++"]:
        command = shlex.split(name)
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            done = subprocess.run(
                [*command, "--version"], capture_output=True, text=True, check=True
            )
            return command, done.stdout.partition("\n")[0]
    raise InputError(
        f"no C++ compiler: {f'CXX={chosen}' if chosen else 'c++, g++ or clang++'} does not run;"
        " install g++ or clang++, or name one in the variable CXX"
    )
