"""Data-parallel processes started by `accelerate launch`; a single process does not need accelerate."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from vampcli.errors import UsageError


class Processes:
    """A single process.

    Attributes:
        rank: number of this process; only the main one, 0, writes files.
        count: number of processes.
    """

    rank, count = 0, 1

    def average(self, gradients: list[Tensor], wish: bool) -> bool:
        """Average gradients over all processes, in place; return whether any process requests to stop."""
        return wish

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Broadcast the main process's tensors to all, in place."""


class Launched(Processes):
    """The processes of an `accelerate.Accelerator`."""

    def __init__(self, accelerator: Any) -> None:
        self.accelerator = accelerator
        self.rank, self.count = int(accelerator.process_index), int(accelerator.num_processes)

    def average(self, gradients: list[Tensor], wish: bool) -> bool:
        """Reduce all gradients and the request to stop as one vector."""
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
    """Return the processes of this training, and the device of this process.

    Args:
        device: requested; several processes get one GPU each.

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
    atexit.register(accelerator.end_training)  # a process that does not leave its group may abort at exit
    return Launched(accelerator), accelerator.device
