"""Description of the machine of a measurement."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_TELLING_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile")


@dataclass(frozen=True)
class Machine:
    """The machine, the versions and the day.

    Attributes:
        cpu: its model.
        n_cores: that may be used.
        flags: of the processor, those that matter to matrix products.
        memory_gb: in all.
        gpu: empty if nothing ran on one.
        system: operating system and architecture.
        versions: of what does the work.
        date: of the measurement.
    """

    cpu: str
    n_cores: int
    flags: tuple[str, ...]
    memory_gb: float
    gpu: str
    system: str
    versions: str
    date: str


def describe(device: str) -> Machine:
    """This machine, now."""
    names = ("vampcli", "torch", "numpy")
    return Machine(
        _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        _n_cores(),
        tuple(flag for flag in _TELLING_FLAGS if flag in _field("/proc/cpuinfo", "flags").split()),
        round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        _gpu() if device == "cuda" else "",
        f"{platform.system()} {platform.machine()}",
        ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)]),
        time.strftime("%Y-%m-%d"),
    )


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name()


def _field(path: str, name: str) -> str:
    """The first value of a field of a table of the kernel's."""
    if not Path(path).exists():
        return ""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
