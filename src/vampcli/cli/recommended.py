"""Sampling options that a model folder recommends, and those of the paper."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from vampcli.config import SamplingConfig
from vampcli.errors import VampError


def sampling_of(model: str) -> dict[str, Any]:
    """Return the options that a model folder recommends, by their names; none if there is no such model."""
    from vampcli.checkpoints import registry
    from vampcli.checkpoints.folder import model_config

    try:
        found = model_config(registry.find(model)).sampling
    except VampError:  # reported when the model is needed
        return {}
    usual = asdict(SamplingConfig())
    return _options({name: value for name, value in asdict(found).items() if value != usual[name]})


def paper_sampling(preset: str) -> dict[str, Any]:
    """Return all sampling options of the paper by their names for the preset `paper`, and none for another."""
    return _options(asdict(SamplingConfig())) if preset == "paper" else {}


def _options(values: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in values.items()}
