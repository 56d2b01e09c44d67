"""Runs verbs of charlens with one call to the file system going wrong (see shim.c).

As a program, this is a server: it imports charlens once, and for each line of standard input, a
JSON object, forks a process that runs one verb as the command line does.
"""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
HOW = {"count": 0, "kill": 1, "ENOSPC": 2, "EIO": 3}
PATH_MAX = 4096


@dataclass(frozen=True)
class Outcome:
    """How a verb ended: its status (negative: the signal), what it said, the calls it made."""

    status: int
    said: str
    calls: int


class Server:
    """The server as the tests use it. folder: for its files."""

    def __init__(self, shim: Path, folder: Path):
        self.plan, self.said = folder / "plan", folder / "said"
        tests = [str(HERE.parent), str(HERE.parent / "runs")]
        path = os.pathsep.join([*tests, *filter(None, sys.path)])
        environment = {"LD_PRELOAD": str(shim), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | environment,
        )  # fmt: skip

    def run(self, words: list, folder: Path, how: str = "count", at: int = 0) -> Outcome:
        """Run `charlens words` in `folder`; the call number `at` below it goes wrong."""
        self.plan.write_bytes(struct.pack(f"iii{PATH_MAX}s", HOW[how], at, 0, str(folder).encode()))
        order = {"words": list(map(str, words)), "folder": str(folder)}
        print(json.dumps(order | {"plan": str(self.plan), "said": str(self.said)}),
              file=self.process.stdin, flush=True)  # fmt: skip
        status = int(self.process.stdout.readline())
        calls = struct.unpack_from("iii", self.plan.read_bytes())[2]
        return Outcome(status, self.said.read_text(errors="replace"), calls)

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve() -> None:
    """Answer each order with the status of its process."""
    import ctypes

    import machines
    import torch  # noqa: F401  which every verb on the reference would import for itself

    from charlens import cli
    from charlens.networks import half  # noqa: F401
    from charlens.ngrams import fit, kenlm  # noqa: F401
    from charlens.runs import publish, remake
    from charlens.training import score, select, train  # noqa: F401

    publish.verb = remake.verb = machines.Verbs()
    kenlm.PATIENCE = 5
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os.setsid()  # what is killed is the process group
            said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 1), os.dup2(said, 2)
            os.chdir(order["folder"])
            os.environ["FAULTS_PLAN"] = order["plan"]
            ctypes.CDLL(None).faults_begin()
            signal.alarm(600)  # it hangs
            status = 3
            try:
                status = cli.main(order["words"])
            except SystemExit as end:
                status = end.code
            except BaseException:
                sys.excepthook(*sys.exc_info())
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what outlived it
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
