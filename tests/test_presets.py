"""Presets of the official app; the dial from everything kept to nothing."""

import json
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

import oracles
from conftest import Vamp
from vampcli.cli.commands.presets import settings
from vampcli.config import PromptConfig
from vampcli.errors import UsageError
from vampcli.tokens import prompt
from vampcli.tokens.presets import PRESETS, PURPOSES, dial, dial_without_onsets

OFFICIAL = {  # period, kept codebooks, dropout, beat width in ms
    "timbre-transfer": (2, 1, 0, 0),
    "small-variation": (5, 4, 0, 0),
    "small-variation-on-beat": (7, 4, 0, 50),
    "medium-variation": (7, 4, 0, 0),
    "medium-variation-on-beat": (13, 4, 0, 50),
    "large-variation": (13, 4, 0.2, 0),
    "large-variation-on-beat": (0, 4, 0, 80),
    "unconditional": (0, None, 0, 0),
}
SHAPES = [(14, 4), (9, 4), (5, 2), (2, 1)]


def kept_share(config: PromptConfig, n_codebooks: int, n_frames: int = 4000) -> float:
    mask = prompt.draw(config, n_codebooks, n_frames, [], np.random.default_rng(0))
    return 1 - float(mask.mean())


def test_presets_of_the_official_app() -> None:
    found = {
        name: (c.period, c.keep_codebooks, c.dropout, c.beat_width if c.beats else 0) for name, c in PRESETS.items()
    }
    assert found == OFFICIAL
    assert PRESETS.keys() == PURPOSES.keys()


@pytest.mark.parametrize(("n_codebooks", "n_coarse"), SHAPES)
def test_dial_keeps_ever_less(n_codebooks: int, n_coarse: int) -> None:
    configs = [dial(amount, n_codebooks, n_coarse) for amount in np.linspace(0, 1, 2001).tolist()]
    expected = [oracles.kept_share(config, n_codebooks) for config in configs]
    assert (expected[0], expected[-1]) == (1, 0)
    assert all(more >= less for more, less in pairwise(expected))
    assert all(more <= 2.01 * less for more, less in pairwise(expected[:701]))  # no step is larger than from 1 to 2


def test_dial_keeps_onsets_up_to_the_middle() -> None:
    for amount in np.linspace(0, 0.5, 101).tolist():
        config = dial(amount, 9, 4)
        assert config.dropout <= 0.4
        assert config.onsets or config.resolved_period == 1


@pytest.mark.parametrize(("n_codebooks", "n_coarse"), SHAPES)
def test_older_dial_falls_without_jumps(n_codebooks: int, n_coarse: int) -> None:
    configs = [dial_without_onsets(amount, n_codebooks, n_coarse) for amount in np.linspace(0, 1, 2001).tolist()]
    expected = [oracles.kept_share(config, n_codebooks) for config in configs]
    assert all(more > less for more, less in pairwise(expected))
    assert max(-np.diff(expected)) < 10 / 2000  # at most ten times as steep as on average
    shares = [kept_share(config, n_codebooks) for config in configs[::50]]
    assert shares == pytest.approx(expected[::50], abs=1e-3)
    assert (shares[0], shares[-1]) == (1, 0)


@pytest.mark.parametrize(
    ("amount", "name"), [(0.35, "small-variation"), (0.39, "medium-variation"), (0.482, "large-variation")]
)
def test_older_dial_passes_through_the_presets(amount: float, name: str) -> None:
    found, preset = dial_without_onsets(amount, 14, 4), PRESETS[name]
    assert (found.period, found.keep_codebooks) == (preset.period, preset.keep_codebooks)
    assert found.dropout == pytest.approx(preset.dropout)


@pytest.mark.parametrize("amount", [-0.01, 1.01, float("nan")])
@pytest.mark.parametrize("rule", [dial, dial_without_onsets])
def test_dials_refuse_amounts_outside(rule: Callable[..., PromptConfig], amount: float) -> None:
    with pytest.raises(UsageError, match=f"amount is {amount}"):
        rule(amount, 14, 4)


def test_settings_as_options() -> None:
    config = PromptConfig(period=7, keep_codebooks=4, beats=True, beat_width=50, dropout=0.2)
    assert settings(config) == "--period 7 --keep-codebooks 4 --beats --beat-width 50 --dropout 0.2"


def test_command_lists_every_preset(vamp: Vamp) -> None:
    ran = vamp("presets")
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert rows == [[name, settings(config), PURPOSES[name]] for name, config in PRESETS.items()]


def test_command_prints_json(vamp: Vamp) -> None:
    found = {}
    for line in vamp("presets", "--json").out.splitlines():
        facts = json.loads(line)
        name = facts.pop("preset")
        assert facts.pop("purpose") == PURPOSES[name]
        found[name] = PromptConfig(**facts)
    assert found == PRESETS
