"""Choose device, precision and batch size."""

from __future__ import annotations

import re

import torch

from vampcli.errors import DeviceError, UsageError
from vampcli.model.batching import Batches
from vampcli.model.config import VampNetConfig

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Precisions by name."""

_MOST_WINDOWS = 64  # more than enough to saturate a GPU
_NUMBERS_PER_LOGIT = 10  # logits, softmax, noise and its words
_NUMBERS_PER_CHANNEL = 16


def pick_device(name: str) -> torch.device:
    """Resolve auto, cpu, cuda, cuda:N or mps.

    Raises:
        UsageError: the name is none of these.
        DeviceError: this machine has no such device.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"unknown device: {name!r}", "use auto, cpu, cuda, cuda:N or mps")
    torch.backends.cudnn.allow_tf32 = False  # codecs run in float32: codes must not depend on the device
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


def pick_batches(device: torch.device, config: VampNetConfig, exact: bool = False, compiled: bool = False) -> Batches:
    """Choose batches of windows: on a CPU one on each core, on a GPU as many as fit its total memory.

    Free memory is ignored, so that the same request runs in the same batches every time.

    Args:
        device: of the networks.
        config: of the larger network.
        exact: one window in a batch.
        compiled: the networks are compiled, and run in one thread.
    """
    if device.type == "cpu":
        return Batches(1, 1 if compiled else torch.get_num_threads(), compiled)
    if exact:
        return Batches(1, whole=compiled)
    if device.type == "mps":
        return Batches(_MOST_WINDOWS // 8, whole=compiled)
    total = torch.cuda.get_device_properties(device).total_memory
    numbers = config.n_predicted * config.codebook_size * _NUMBERS_PER_LOGIT + config.width * _NUMBERS_PER_CHANNEL
    n_fitting = total // (2 * 4 * config.context_frames * numbers)  # half of the memory, in float32
    power_of_two = 1 << max(1, n_fitting).bit_length() - 1
    return Batches(min(_MOST_WINDOWS, power_of_two), whole=compiled)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # private names of torch; where they are missing, float32 is as good, only slower
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)
