"""The whole state of a run in one safetensors file: weights, averages, optimizers, position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn, optim

from vampcli.errors import InputError
from vampcli.schema import shown
from vampcli.tensor_reading import open_tensors
from vampcli.train.data import save_tensors

STATE = "state.safetensors"
_CURE = "start again in another folder"


def write_state(
    folder: Path,
    task: nn.Module,
    parameters: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizers: Sequence[optim.Optimizer],
    meta: dict[str, Any],
) -> None:
    """Write the state, whole or not at all.

    It holds no random numbers: those of a step come from the seed and the step's number.

    Raises:
        InputError: the folder cannot be written.
    """
    tensors = {f"task.{n}": t for n, t in task.state_dict().items()}
    tensors |= {f"average.{n}": t for n, t in average.items()}
    for name, parameter in parameters.items():
        for key, value in _owner(optimizers, parameter).state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    folder.mkdir(parents=True, exist_ok=True)
    stored = {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
    save_tensors(stored, folder / STATE, {key: str(value) for key, value in meta.items()})


def read_state(
    folder: Path,
    task: nn.Module,
    parameters: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizers: Sequence[optim.Optimizer],
    newcomers: tuple[str, ...] = (),
) -> None:
    """Load a state, in place.

    Args:
        folder: folder of a state that `write_state` wrote.
        task: loaded in place, as are the other three.
        parameters: trained parameters of the task.
        average: their averages.
        optimizers: their optimizers.
        newcomers: prefixes of names that the state may lack, which stay as they are, or may have in addition.

    Raises:
        InputError: there is none, it is damaged, or of other sizes.
    """
    path = folder / STATE
    with open_tensors(path, cure=_CURE) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    stored = {n.removeprefix("task."): t for n, t in tensors.items() if n.startswith("task.")}
    now = task.state_dict()
    gone = {n for n in stored.keys() - now.keys() if n.startswith(newcomers)}
    new = {n for n in now.keys() - stored.keys() if n.startswith(newcomers)}
    try:
        task.load_state_dict({n: t for n, t in stored.items() if n not in gone} | {n: now[n] for n in new})
        for name in parameters.keys() - new:
            average[name].copy_(tensors[f"average.{name}"])
    except (RuntimeError, KeyError) as error:
        raise InputError(f"{path} is of a run with other sizes", "resume with the TOML it began with") from error
    states: dict[str, dict[str, Tensor]] = {name: {} for name in parameters}
    for full, value in tensors.items():
        kind, _, rest = full.partition(".")
        key, _, name = rest.partition(".")
        if kind == "optimizer" and name in parameters:
            states[name][key] = value
    keys: dict[int, set[str]] = {}  # of each optimizer
    for name, values in states.items():
        keys.setdefault(id(_owner(optimizers, parameters[name])), set()).update(values)
    for name, values in states.items():
        parameter, owner = parameters[name], _owner(optimizers, parameters[name])
        missing = sorted(keys[id(owner)] - values.keys()) if values else []
        odd = [key for key, value in values.items() if value.numel() != 1 and value.shape != parameter.shape]
        if missing or odd:
            fact = f"lacks {missing[0]}" if missing else f"has another size of {odd[0]}"
            raise InputError(f"{path} is damaged: the optimizer {fact} of {name}", _CURE)
        for key, value in values.items():
            owner.state[parameter][key] = value.to(parameter.device)


def read_meta(folder: Path) -> dict[str, str]:
    """Read what `write_state` was given as `meta`, as text.

    Raises:
        InputError: there is no state, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"nothing to resume in {folder}", "leave --resume out to start")
    with open_tensors(path, cure=_CURE) as file:
        meta = dict(file.metadata() or {})
    if not {"step", "seconds"} <= meta.keys():
        raise InputError(f"{path} does not say how far it is", _CURE)
    for key in meta.keys() & {"step", "seconds", "core_seconds"}:
        if not re.fullmatch(r"\d{1,15}" if key == "step" else r"\d{1,15}(\.\d{1,20})?(e-\d{1,3})?", meta[key]):
            raise InputError(f"{path} is damaged: {key} is {shown(meta[key])}", _CURE)
    return meta


def _owner(optimizers: Sequence[optim.Optimizer], parameter: nn.Parameter) -> optim.Optimizer:
    return next(o for o in optimizers if any(p is parameter for group in o.param_groups for p in group["params"]))
