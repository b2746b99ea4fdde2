"""Choices of a user, apart from what carries them out: reading them needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vampcli.errors import UsageError


@dataclass(frozen=True)
class SamplingConfig:
    """How tokens are drawn.

    Attributes:
        n_steps: passes of the coarse model.
        n_fine_steps: passes of the fine model.
        temperature: flattens (above 1) or sharpens the distributions, beside what suits the model; 0 takes the
            likeliest token.
        mask_temperature: how much chance decides which tokens are drawn again; falls to 0 over the steps.
        top_p: draw only from the likeliest classes that hold this much probability; 1 = from all.
        typical_mass: draw only from the classes nearest the expected surprise; 1 = from all.
        typical_min_tokens: at least that many classes stay after the typical filter.
        sample_cutoff: draw up to this share of the steps, then take the likeliest; negative = always that.
    """

    n_steps: int = 36
    n_fine_steps: int = 2
    temperature: float = 1.0
    mask_temperature: float = 10.5
    top_p: float = 1.0
    typical_mass: float = 1.0
    typical_min_tokens: int = 64
    sample_cutoff: float = 1.0

    def __post_init__(self) -> None:
        for name in ("n_steps", "n_fine_steps", "typical_min_tokens"):
            self._require(name, getattr(self, name) >= 1, "1 or more")
        for name in ("temperature", "mask_temperature"):
            value = getattr(self, name)
            # a temperature of less than 0.01 would overflow, and nobody can tell it from 0
            self._require(name, value == 0 or 0.01 <= value < math.inf, "0, or from 0.01 on")
        for name in ("top_p", "typical_mass"):
            self._require(name, 0 < getattr(self, name) <= 1, "above 0 and at most 1")
        self._require("sample_cutoff", not math.isnan(self.sample_cutoff), "a number")

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise UsageError(f"{name} is {getattr(self, name)}", f"it must be {wanted}")
