"""Several processes that train one model, as `accelerate launch` starts them; one process needs no accelerate."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from vampcli.errors import UsageError


class Processes:
    """Who trains along: this process alone.

    Attributes:
        rank: number of this process; 0 is the main one, which alone writes files.
        count: how many there are.
    """

    rank, count = 0, 1

    def average(self, gradients: list[Tensor], wish: bool) -> bool:
        """Make gradients the mean over all processes, in place; returns whether any process wishes to stop."""
        return wish

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the tensors of the main one, in place."""


class Launched(Processes):
    """The processes of an `accelerate.Accelerator`."""

    def __init__(self, accelerator: Any) -> None:
        self.accelerator = accelerator
        self.rank, self.count = int(accelerator.process_index), int(accelerator.num_processes)

    def average(self, gradients: list[Tensor], wish: bool) -> bool:
        """One exchange a step: all gradients and the wish as one vector."""
        ends = [gradient.flatten() for gradient in gradients]
        mean = self.accelerator.reduce(torch.cat([*ends, ends[0].new_tensor([float(wish)])]), "mean")
        for gradient, part in zip(gradients, mean[:-1].split([len(end) for end in ends]), strict=True):
            gradient.copy_(part.view_as(gradient))
        return bool(mean[-1] > 0)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Broadcast from the main process."""
        from accelerate.utils import broadcast

        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(broadcast(tensor.detach().clone(), from_process=0))


def join_processes(device: torch.device) -> tuple[Processes, torch.device]:
    """Find out who trains along, and this process's own device.

    Args:
        device: what was asked for; of several GPUs each process gets its own.

    Raises:
        UsageError: there are several processes, but accelerate is missing.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes(), device
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise UsageError("several processes need accelerate", 'pip install "vampcli[train]"') from error
    accelerator = Accelerator(cpu=device.type == "cpu")
    atexit.register(accelerator.end_training)  # a process that leaves its group standing may abort on its way out
    return Launched(accelerator), accelerator.device
