"""The training loop: steps, averages, checkpoints, resuming. It knows no model and no data."""

from __future__ import annotations

import json
import logging
import math
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vampcli.devices import pick_dtype
from vampcli.errors import InputError, ModelError, UsageError
from vampcli.train.config import LoopConfig

log = logging.getLogger(__name__)

STATE = "state.safetensors"
LOG = "log.jsonl"


class Task(nn.Module):
    """What is trained: the model and its own buffers as a module, a loss, a validation."""

    def loss(self, step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Draw a batch with `rng` and return the loss and figures to log."""
        raise NotImplementedError

    def validate(self) -> dict[str, float]:
        """Figures on the validation pieces, with the parameters as they are; draws nothing at random."""
        raise NotImplementedError


def autocast_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """The precision to multiply in, None for float32; auto is bfloat16 where the hardware has it.

    Raises:
        UsageError: the name is none of auto, fp32 and bf16.
    """
    if name not in ("auto", "fp32", "bf16"):
        raise UsageError(f"dtype is {name!r}", "a run takes auto, fp32 or bf16")
    dtype = pick_dtype(name, device)
    return None if dtype == torch.float32 else dtype


def learning_rate(config: LoopConfig, step: int) -> float:
    """Linear warm-up, constant, and a linear fall to zero from `decay_from` on."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.decay_from and step >= config.decay_from:
        rate *= max(0.0, (config.n_steps - step) / max(1, config.n_steps - config.decay_from))
    return rate


class Trainer:
    """Steps a task, keeps an average of its weights, saves and resumes.

    Every random number of step i comes from (seed, i), so a resumed run equals one that never stopped.
    """

    def __init__(self, task: Task, config: LoopConfig, folder: Path) -> None:
        self.task, self.config, self.folder, self.step, self.seconds = task, config, folder, 0, 0.0
        self.parameters = {n: p for n, p in task.named_parameters() if p.requires_grad}
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=0.0, betas=(0.9, 0.999), weight_decay=config.weight_decay, fused=True
        )

    def save(self) -> None:
        """Write the whole state as one file, atomically."""
        tensors = {f"task.{n}": t for n, t in self.task.state_dict().items()}
        tensors |= {f"average.{n}": t for n, t in self.average.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        meta = {"step": str(self.step), "seconds": str(self.seconds)}
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / (STATE + ".partial")
        save_file({n: t.detach().contiguous() for n, t in tensors.items()}, partial, meta)
        partial.replace(self.folder / STATE)

    def resume(self) -> None:
        """Take up the state in the folder.

        Raises:
            InputError: there is none.
        """
        path = self.folder / STATE
        if not path.is_file():
            raise InputError(f"nothing to resume in {self.folder}", "leave --resume out to start")
        with safe_open(str(path), framework="pt") as file:
            meta, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.step, self.seconds = int(meta["step"]), float(meta["seconds"])
        own = {n.removeprefix("task."): t for n, t in tensors.items() if n.startswith("task.")}
        try:
            self.task.load_state_dict(own)
        except RuntimeError as error:
            raise InputError(f"{path} is of a run with other sizes", "resume with the TOML it began with") from error
        for name, parameter in self.parameters.items():
            self.average[name].copy_(tensors[f"average.{name}"])
            keys = ("step", "exp_avg", "exp_avg_sq")
            if f"optimizer.step.{name}" in tensors:
                self.optimizer.state[parameter] = {k: tensors[f"optimizer.{k}.{name}"] for k in keys}

    def advance(self) -> dict[str, float]:
        """Make one step.

        Raises:
            ModelError: the loss is not a number; weights are as before the step.
        """
        rng = np.random.default_rng([self.config.seed, self.step])
        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        rate = learning_rate(self.config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.task.train()
        loss, figures = self.task.loss(self.step, rng)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip_norm))
        if not math.isfinite(norm):
            raise ModelError(
                f"loss or gradient is not a number at step {self.step}",
                "the last good weights are saved; resume with a lower learning_rate",
            )
        self.optimizer.step()
        self.step += 1
        decay = min(self.config.ema_decay, self.step / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                self.average[name].lerp_(parameter, 1 - decay)
        return {"loss": float(loss.detach()), **figures, "gradient_norm": norm, "learning_rate": rate}

    def averaged(self) -> AbstractContextManager[None]:
        """Within this context the task's parameters are their averages."""
        return _Swapped(self.parameters, self.average)

    def run(self, max_minutes: float, report: Callable[[dict[str, float]], None]) -> None:
        """Step until `n_steps`, the time limit, or SIGINT or SIGTERM; log, validate and save on the way.

        Args:
            max_minutes: stop after that long.
            report: called with the figures of every logged step and validation.
        """
        stop = _StopOnSignal()
        began = saved = last = time.monotonic()
        sums: dict[str, float] = {}
        count = 0
        try:
            with stop:
                while self.step < self.config.n_steps and not stop.asked:
                    for name, value in self.advance().items():
                        sums[name] = sums.get(name, 0.0) + value
                    count += 1
                    now = time.monotonic()
                    self.seconds += now - last
                    last = now
                    if self.step % self.config.log_every == 0:
                        self._record({name: value / count for name, value in sums.items()}, report)
                        sums, count = {}, 0
                    if self.step % self.config.validate_every == 0:
                        self._validate(report)
                    if now - saved > self.config.save_every_s:
                        self.save()
                        saved = now
                    if now - began > 60 * max_minutes:
                        break
        finally:  # weights are whole at any time: a step that fails changes none
            self.save()

    def _validate(self, report: Callable[[dict[str, float]], None]) -> None:
        with self.averaged(), torch.no_grad():
            self.task.eval()
            figures = self.task.validate()
        self._record({f"validation_{name}": value for name, value in figures.items()}, report)

    def _record(self, figures: dict[str, float], report: Callable[[dict[str, float]], None]) -> None:
        line = {"step": self.step, "seconds": round(self.seconds, 1)} | {
            k: float(f"{v:.6g}") for k, v in figures.items()
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        report(line)


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
    """Turns the first SIGINT or SIGTERM into a wish; a second one acts as usual."""

    asked = False

    def __enter__(self) -> None:
        self.before = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self.before[signal.Signals(number)])
