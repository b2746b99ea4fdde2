"""The training loop: steps, averaged weights, saved state, resuming. Independent of model and data."""

from __future__ import annotations

import json
import logging
import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch import Tensor, nn

from vampcli.errors import InputError, ModelError
from vampcli.train.config import LoopConfig
from vampcli.train.optimizer import optimizers_of
from vampcli.train.parallel import Processes
from vampcli.train.schedule import learning_rate
from vampcli.train.state import STATE, read_meta, read_state, write_state

__all__ = ["LOG", "SAMPLES", "STATE", "Task", "Trainer"]

log = logging.getLogger(__name__)

LOG = "log.jsonl"
SAMPLES = "samples"
Report = Callable[[dict[str, float]], None]


class Task(nn.Module):
    """A training task: the model as a module, its loss and its validation.

    Attributes:
        rank: index of this process among `n_processes`; each draws different clips.
        n_processes: number of processes in the run.
        audio_s: seconds of audio in a process's step; 0 = unknown.
        rewritten: tensors that the last `loss` changed at random, without the optimizer, and that processes must share.
        newcomers: prefixes of state names that a resumed run may gain (newly initialised) or lose.
    """

    rank, n_processes, audio_s = 0, 1, 0.0
    rewritten: Sequence[Tensor] = ()
    newcomers: tuple[str, ...] = ()

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Draw a batch with `rng` and return the loss and figures to log."""
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """Return figures on the validation pieces with the current parameters; deterministic."""
        raise NotImplementedError

    def sample(self, folder: Path, name: str) -> dict[str, float]:
        """Write sounds whose file names begin with `name`, and return figures of them; by default nothing."""
        return {}


class Trainer:
    """Train a task, average its weights, save and resume.

    Every random number of step i comes from (seed, i, rank), so a resumed run equals one that never stopped.

    Args:
        task: the task; moved to the device.
        config: settings of the loop.
        folder: the folder of the run; only the main process writes to it.
        device: the device to train on.
        processes: the processes of the run, each with a batch of its share.
    """

    def __init__(
        self,
        task: Task,
        config: LoopConfig,
        folder: Path,
        device: torch.device | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.task, self.config, self.folder = task, config, folder
        self.step, self.seconds, self.core_seconds = 0, 0.0, 0.0
        self.processes = processes or Processes()
        task.to(device or torch.device("cpu"))
        task.rank, task.n_processes = self.processes.rank, self.processes.count
        self.processes.share(task.state_dict().values())
        self.parameters = {n: p for n, p in task.named_parameters() if p.requires_grad}
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.optimizers = optimizers_of(self.parameters, config)
        self.stopping = self.interrupted = False  # `interrupted`: a signal ended `run`

    @property
    def _is_main(self) -> bool:
        return self.processes.rank == 0

    def save(self) -> None:
        """Write the state as one file, atomically, in the main process."""
        if self._is_main:
            spent = {"seconds": self.seconds, "core_seconds": self.core_seconds}
            meta = {"step": self.step, "optimizer": self.config.optimizer, **spent}
            write_state(self.folder, self.task, self.parameters, self.average, self.optimizers, meta)

    def resume(self) -> None:
        """Load the state from the folder.

        Raises:
            InputError: there is none, or it does not fit.
        """
        meta = read_meta(self.folder)
        if meta.get("optimizer", "adamw") != self.config.optimizer:
            raise InputError(f"{self.folder} was trained with {meta.get('optimizer', 'adamw')}", "resume with its TOML")
        read_state(self.folder, self.task, self.parameters, self.average, self.optimizers, self.task.newcomers)
        self.step, self.seconds = int(meta["step"]), float(meta["seconds"])
        self.core_seconds = float(meta.get("core_seconds", self.seconds))

    def advance(self, wish: bool = False) -> dict[str, float]:
        """Make one step.

        Args:
            wish: request to stop after this step; `stopping` is then True if any process requested it.

        Raises:
            ModelError: the loss is not a number; weights are as before the step.
        """
        rng = np.random.default_rng([self.config.seed, self.step, self.processes.rank])
        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        rate = learning_rate(self.config, self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        self.task.train()
        loss, figures = self.task.loss(self.step, rng)
        self.task.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        self.stopping = self.processes.average(gradients, wish)
        norm = float(nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip_norm))
        if not math.isfinite(norm):
            raise ModelError(
                f"loss or gradient is not a number at step {self.step}",
                "the last good weights are saved; resume with another seed and a lower learning_rate",
            )
        for optimizer in self.optimizers:
            optimizer.step()
        self.processes.share(self.task.rewritten)
        self.step += 1
        decay = min(self.config.ema_decay, self.step / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - decay)
        return {"loss": float(loss.detach()), **figures, "gradient_norm": norm, "learning_rate": rate}

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the task's parameters are their averages."""
        return _Swapped(self.parameters, self.average)

    def run(self, max_minutes: float, report: Report, each_step: Report | None = None) -> None:
        """Step until `steps`, the time limit, or SIGINT or SIGTERM; log, validate and save on the way.

        Args:
            max_minutes: time limit.
            report: called with the figures of every logged step and validation.
            each_step: called with the figures of every step.
        """
        asked = _StopOnSignal()
        began = saved = last = time.monotonic()
        core_before = self.core_seconds - time.process_time()
        sums, first = _Means(), self.step
        try:
            with asked:
                while self.step < self.config.steps and not self.stopping:
                    figures = self.advance(asked.asked or last - began > 60 * max_minutes)
                    sums.add(figures)
                    if each_step is not None:
                        each_step(figures)
                    now = time.monotonic()
                    self.seconds += now - last
                    self.core_seconds = core_before + time.process_time()
                    if self._due(self.config.log_every):
                        self._record(sums.take(), report)
                    if self._due(self.config.validate_every):
                        self._measure("validation", report)
                    if self._due(self.config.sample_every):
                        self._measure("sample", report)
                    if now - saved > self.config.save_every_s:
                        self.save()
                        saved = now
                    last = now
            self.interrupted = asked.asked
        finally:  # a step that fails is before its update: what is saved is whole
            if self.step > first:
                self.save()

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0 and self._is_main

    def _measure(self, what: str, report: Report) -> None:
        with self.averaged(), torch.no_grad():
            self.task.eval()
            if what == "validation":
                figures = self.task.validate()
            else:
                figures = self.task.sample(self.folder / SAMPLES, f"step-{self.step:06d}")
        self._record({f"{what}_{name}": value for name, value in figures.items()}, report)

    def _record(self, figures: dict[str, float], report: Report) -> None:
        line = {"step": self.step, "seconds": round(self.seconds, 1)}
        line |= {k: float(f"{v:.6g}") for k, v in figures.items()} | {"core_seconds": round(self.core_seconds, 1)}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        report(line)


class _Means:
    """Means of figures since they were last taken."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def take(self) -> dict[str, float]:
        means = {name: value / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


class _Swapped:
    def __init__(self, parameters: dict[str, nn.Parameter], average: dict[str, Tensor]) -> None:
        self.parameters, self.average = parameters, average

    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.data, self.average[name] = self.average[name], parameter.data

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()


class _StopOnSignal:
    """Record the first SIGINT or SIGTERM as a request to stop; a second one acts as usual."""

    asked = False

    def __enter__(self) -> None:
        self.before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self.before[signal.Signals(number)])
