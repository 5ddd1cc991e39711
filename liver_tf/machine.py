"""The machine that computes, in one line, for provenance. No host name."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path


def machine(gpus: Sequence[str] = (), cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """For example ``AMD EPYC, 4 cores, Linux x86_64``; ``gpus`` are names of GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [*gpus, _processor(cpuinfo), f"{cores} core{'s' * (cores != 1)}"]
    return ", ".join([*filter(None, parts), f"{platform.system()} {platform.machine()}"])


def _processor(cpuinfo: Path) -> str:
    """Name of the model; on systems without ``cpuinfo`` what Python reports, which may be empty."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor()
