"""A recipe to change in tests."""

from dataclasses import replace
from typing import Any

from vampcli.config import SamplingConfig
from vampcli.recipe.recipe import InputSource, MadeBy, Recipe

MADE_BY = MadeBy("mini+jäzz", "0123456789abcdef" * 4, "CC-BY-SA-4.0", "0.1.0", "2.13.0", "cpu", "fp32")


def recipe(**changes: Any) -> Recipe:
    """Of a compressed clip."""
    request = {"keep_codebooks": 2, "period": 1}
    sampling = SamplingConfig(steps=12, temperature=0.8)
    source = InputSource("song.wav", "fedcba9876543210" * 4)
    return replace(Recipe("compress", request, sampling, "mid", -7, source, MADE_BY, 19221, ((0, 19221),)), **changes)
