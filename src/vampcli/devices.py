"""Which device and precision to run on."""

from __future__ import annotations

import re

import torch

from vampcli.checkpoint import DTYPES
from vampcli.errors import DeviceError, UsageError


def pick_device(name: str) -> torch.device:
    """Resolve auto, cpu, cuda, cuda:N or mps.

    Raises:
        UsageError: the name is none of these.
        DeviceError: this machine has no such device.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"unknown device: {name!r}", "use auto, cpu, cuda, cuda:N or mps")
    torch.backends.cudnn.allow_tf32 = False  # codecs run in float32, and their codes must not depend on the device
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if n_cuda else "cpu")
    kind, _, index = name.partition(":")  # not by torch.device, which takes cuda:256 for cuda:0
    if (kind == "cuda" and int(index or 0) >= n_cuda) or (kind == "mps" and not has_mps):
        there = ["cpu", *(f"cuda:{i}" for i in range(n_cuda)), *(["mps"] if has_mps else [])]
        raise DeviceError(f"this machine has no device {name}", f"there are: {', '.join(there)}")
    return torch.device(name)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """Resolve auto, fp32, bf16 or fp16; auto is bfloat16 where the hardware multiplies it, else float32.

    Raises:
        UsageError: the name is none of these.
    """
    if name == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    if name not in DTYPES:
        raise UsageError(f"unknown dtype: {name!r}", f"use auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # torch has no public name for these yet; where they are missing, float32 is right, only slower.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)
