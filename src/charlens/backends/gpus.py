"""Which GPU a process takes, where several local jobs share the GPUs of a machine."""

import contextlib
import ctypes
import functools
import os
import sys
import tempfile
import time
from pathlib import Path

import filelock

from charlens.errors import InputError

GIVEN = "CHARLENS_GPU"  # names a GPU that is used whether it has a free place or not
POLL_SECONDS = 0.5  # between looks for a free place

_held = []  # locks, which are released when this process ends


def available() -> bool:
    """Whether torch sees a GPU. Where there is no driver, torch need not be imported to know."""
    if "torch" not in sys.modules and not has_driver():
        return False
    import torch

    return torch.cuda.is_available()


def has_driver() -> bool:
    """Whether the library of NVIDIA's driver, through which torch reaches a GPU, can be loaded."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def names() -> list[str]:
    """Torch's names of the GPUs that this process may see: "cuda:0", ..."""
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


@functools.cache  # one place per process, however many models it holds
def free_gpu() -> str:
    """A GPU with a free place, held until this process ends; where none is free, waits for one.

    Local jobs of a workflow are not told which GPU to use, so each locks a file that stands for a
    place. A GPU has $CHARLENS_GPU_JOBS places (default 1), since a small model does not fill it;
    the first place of every GPU is taken before the second of any. The file is named after the
    GPU itself, not after its number, which $CUDA_VISIBLE_DEVICES changes from process to process.
    Where $CHARLENS_GPU names a GPU, it is that one, at once. Returns torch's name of the device,
    such as "cuda:0". Raises InputError where there is no such GPU, and as `gpu_jobs` does.
    """
    import torch

    if given := os.environ.get(GIVEN):
        if given not in names():
            raise InputError(f"{GIVEN}={given}: there is {', '.join(names())}")
        return given
    places = gpu_jobs()
    if places > 1 and not shared_at_a_time():
        print(
            f"{places} jobs on each GPU, but NVIDIA's MPS does not run: they take turns, which is"
            " no faster than one after the other; start it (nvidia-cuda-mps-control -d), or unset"
            " CHARLENS_GPU_JOBS",
            file=sys.stderr,
            flush=True,
        )
    gpus = [gpu_id(number) for number in range(torch.cuda.device_count())]
    waits = False
    while True:
        for place in range(places):
            for number, gpu in enumerate(gpus):
                if take(gpu, place):
                    return f"cuda:{number}"
        if not waits:
            print(
                f"{places} jobs on each of {len(gpus)} GPUs: waiting for one of them to end"
                " (CHARLENS_GPU_JOBS=N lets N share a GPU)",
                file=sys.stderr,
                flush=True,
            )
            waits = True
        time.sleep(POLL_SECONDS)


def own_stream(device: str) -> contextlib.AbstractContextManager:
    """A context, to be entered again and again, in which a GPU computes on a stream of its own; on
    a processor it does nothing. device: "cpu", or torch's name of a GPU."""
    if device == "cpu":
        return contextlib.nullcontext()
    import torch

    return torch.cuda.stream(torch.cuda.Stream(device))


def take(gpu: str, place: int) -> bool:
    """Hold a place on a GPU until this process ends; False where another process holds it.

    A killed process holds nothing. Without locks on this file system, every place is free.
    """
    # one file per user: another user's cannot be opened
    name = f"charlens-{os.getuid()}-gpu-{gpu}-{place}.lock"
    lock = filelock.FileLock(Path(tempfile.gettempdir()) / name, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    except OSError:
        return True
    _held.append(lock)
    return True


def gpu_id(number: int) -> str:
    """What identifies a GPU, or a slice of one (MIG), whichever GPUs a process may see: its UUID.

    number: its number in this process.
    """
    import torch

    return str(torch.cuda.get_device_properties(number).uuid)


def shared_at_a_time() -> bool:
    """Whether NVIDIA's MPS runs, without which processes that share a GPU take turns on it."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"))
    return (pipes / "control").exists()


def gpu_jobs() -> int:
    """How many jobs share a GPU. Raises InputError where $CHARLENS_GPU_JOBS is not 1 or more."""
    value = os.environ.get("CHARLENS_GPU_JOBS", "1")
    if not value.isdigit() or int(value) < 1:
        raise InputError(
            f"CHARLENS_GPU_JOBS={value}: expected how many jobs share a GPU, 1 or more"
        )
    return int(value)
