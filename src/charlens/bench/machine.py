"""What this machine has, in words: the facts of `charlens doctor`."""

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from charlens.backends import compiler, cpu
from charlens.backends.cpu import build
from charlens.errors import InputError
from charlens.ngrams import kenlm
from charlens.runs import host

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
GB = 1e9
SUBMIT = {  # the command that submits a job, by scheduler
    "Slurm": "sbatch",
    "LSF": "bsub",
    "HTCondor": "condor_submit",
    "Grid Engine": "qsub",
    "Kubernetes": "kubectl",
}


def facts(kenlm_folder: Path) -> list[tuple[str, str]]:
    """Rows of a table: what, and what was found."""
    return [
        ("charlens", importlib.metadata.version("charlens")),
        ("system", platform.platform()),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("torch", f"{torch.__version__}, {torch_build()}"),
        ("processor", processor()),
        ("paths that it can run", ", ".join(build.runnable()) or "none"),
        ("compiled CPU code", cpu.status()[1]),
        ("cores", cores()),
        ("memory", memory()),
        ("C++ compiler", compiler_version()),
        ("KenLM", kenlm_version(kenlm_folder)),
        ("GPUs", gpus()),
        ("disk", f"{shutil.disk_usage('.').free / GB:.0f} GB free in this folder"),
        ("scheduler", ", ".join(n for n, c in SUBMIT.items() if shutil.which(c)) or "none"),
    ]


def processor() -> str:
    """The name of the processor."""
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        about = ""
    found = re.search(r"^model name\s*: (.*)", about, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def torch_build() -> str:
    """What torch was built for."""
    if torch.version.cuda:
        return f"for CUDA {torch.version.cuda}"
    return f"for ROCm {torch.version.hip}" if torch.version.hip else "for CPUs alone"


def compiler_version() -> str:
    """The C++ compiler in use, or why there is none."""
    try:
        return compiler.find()[1]
    except InputError as error:
        return str(error)


def kenlm_version(folder: Path) -> str:
    """The KenLM in a folder, or why it cannot be used."""
    try:
        found = kenlm.about(folder)
    except InputError as error:
        return str(error)
    return f"{found['version']} in {folder}, orders up to {found['max_order']}"


def gpus() -> str:
    """The GPUs that torch sees, or why it sees none."""
    if torch.cuda.is_available():
        every = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return ", ".join(f"{gpu.name}, {gpu.total_memory / GB:.0f} GB" for gpu in every)
    return f"none: {why_no_gpu()}"


def why_no_gpu() -> str:
    """Why torch sees no GPU, in words."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden} hides them"
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA driver here (nvidia-smi is missing)"
    if not torch.version.cuda:
        return "this torch was built without CUDA"
    return "torch cannot use the driver; nvidia-smi says more"


# ---- cores and memory, and what a container may use of them ----


def cores() -> str:
    """The processor cores of the machine, and how many this process may use."""
    said = f"{host.cores()} of {os.cpu_count()}"
    limit = core_limit()
    return said if limit is None else f"{said}; the time of {limit:g} by the control group"


def memory() -> str:
    """The memory of the machine, and how much this process may use."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = memory_limit()
    said = f"{total / GB:.1f} GB"
    return (
        said
        if limit is None or limit >= total
        else f"{limit / GB:.1f} of {said} by the control group"
    )


def core_limit(root: Path = CGROUPS, own: Path = OWN) -> float | None:
    """The cores' worth of time that the control groups of this process allow; None: no limit."""
    limits = []
    for folder in groups("cpu", root, own):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            words = [word for name in names for word in content(folder / name).split()]
            if len(words) == 2 and all(word.isdigit() for word in words):  # not max, not -1
                limits.append(int(words[0]) / int(words[1]))
    return min(limits, default=None)


def memory_limit(root: Path = CGROUPS, own: Path = OWN) -> int | None:
    """The bytes that the control groups of this process allow; None: no limit."""
    limits = []
    for folder in groups("memory", root, own):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (word := content(folder / name).strip()).isdigit():
                limits.append(int(word))
    return min(limits, default=None)


def groups(controller: str, root: Path, own: Path) -> Iterator[Path]:
    """The folders of the control groups that this process is in, of either version.

    controller: cpu or memory. root: where they are mounted. own: this process's groups, lines of
    number:controllers:path, without controllers in version 2.
    """
    for line in content(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts = [root, root / "unified"]
        elif controller in controllers.split(","):
            mounts = [root / controllers, root / controller]
        else:
            continue
        below = Path(path.lstrip("/"))
        for mount in mounts:
            yield from (mount / place for place in (below, *below.parents))


def content(path: Path) -> str:
    """The text of a file; empty where it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
