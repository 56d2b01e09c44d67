"""Several trainings in one process, in turns of one update each: small networks fill a GPU so.

A small network leaves most of a GPU idle. There each training has a stream of its own, on which
the GPU goes on with its update while the process hands in those of the others. On a processor they
only take turns. Either way a network is, to the bit, what it is when trained alone: nothing is
shared but the process.
"""

import contextlib
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

from charlens.backends import gpus
from charlens.training import stopping
from charlens.training.stopping import Stopped

LINES = "attempts.log"  # in the folder of each network: its progress, that of all attempts

# A training that is ready pauses before its first update, and then after each. It is sent the
# signal that has told the process to stop, or 0.
Updates = Generator[None, int, None]


def finish(trainings: Sequence[Updates], label: str, around: Sequence | None = None) -> None:
    """Run trainings to their ends.

    label: of them all, for what is said when they are told to stop. around: a context for each,
    within which it runs (see `surroundings`). Where they are told to stop, each writes a checkpoint
    before the process exits (SystemExit). An error of one ends them all.
    """
    around = around or [contextlib.nullcontext() for _ in trainings]
    running = list(zip(trainings, around, strict=True))
    stopped = 0
    with contextlib.ExitStack() as closing:
        for training in trainings:
            closing.callback(training.close)
        for training, context in running:
            with context:
                next(training)  # until it is ready: it may have to wait for a lock or a GPU
        with stopping.noticed() as told:
            while running:
                for pair in list(running):
                    training, context = pair
                    try:
                        with context:
                            training.send(told())
                    except StopIteration:
                        running.remove(pair)
                    except Stopped as error:
                        running.remove(pair)
                        stopped = error.number
    if stopped:
        sys.exit(stopping.status(stopped, label))


class Surroundings:
    """What one of several trainings runs in, again and again: a stream of its own on a GPU, and a
    copy of its progress lines in its folder.

    stream: a context that makes the stream the current one; on a processor it does nothing.
    """

    def __init__(self, folder: Path, stream: contextlib.AbstractContextManager):
        self.folder, self.stream = folder, stream

    def __enter__(self):
        self.stream.__enter__()
        self.terminal = sys.stderr
        self.redirected = contextlib.redirect_stderr(self)
        self.redirected.__enter__()

    def __exit__(self, *error):
        self.redirected.__exit__(*error)
        self.stream.__exit__(*error)

    def write(self, text: str) -> None:
        self.terminal.write(text)
        with open(self.folder / LINES, "a") as lines:
            lines.write(text)

    def flush(self) -> None:
        self.terminal.flush()


def surroundings(folders: Sequence[Path], backend: str) -> list[Surroundings]:
    """The surroundings of each of several trainings. backend: the setting."""
    return [Surroundings(folder, own_stream(backend)) for folder in folders]


def own_stream(backend: str) -> contextlib.AbstractContextManager:
    """`gpus.own_stream` of the device on which this backend trains."""
    on_gpu = backend in ("auto", "cuda") and gpus.available()
    return gpus.own_stream(gpus.free_gpu() if on_gpu else "cpu")
