"""Named prompts, and prompts by amount of change."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

from vampcli.config import PromptConfig
from vampcli.errors import UsageError

_TABLE = {
    "timbre-transfer": (
        "The same course of events in other timbres.",
        PromptConfig(period=2, keep_codebooks=1),
    ),
    "small-variation": (
        "The same music, played a little differently.",
        PromptConfig(period=5, keep_codebooks=4),
    ),
    "small-variation-on-beat": (
        "A small variation that holds on to the beats.",
        PromptConfig(period=7, keep_codebooks=4, beats=True, beat_width=50),
    ),
    "medium-variation": (
        "The outline stays, the notes within it change.",
        PromptConfig(period=7, keep_codebooks=4),
    ),
    "medium-variation-on-beat": (
        "A medium variation that holds on to the beats.",
        PromptConfig(period=13, keep_codebooks=4, beats=True, beat_width=50),
    ),
    "large-variation": (
        "Something else, with traces of the original.",
        PromptConfig(period=13, keep_codebooks=4, dropout=0.2),
    ),
    "large-variation-on-beat": (
        "Something else to the same beat: nothing but beats is kept.",
        PromptConfig(period=0, keep_codebooks=4, beats=True, beat_width=80),
    ),
    "unconditional": (
        "Nothing is kept: the model generates freely.",
        PromptConfig(period=0),
    ),
}

PRESETS: dict[str, PromptConfig] = {name: config for name, (_, config) in _TABLE.items()}
"""The presets of the official app, by name."""

PURPOSES: dict[str, str] = {name: purpose for name, (purpose, _) in _TABLE.items()}
"""The purpose of each preset, in one line."""

_AMOUNTS = (0.15, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_PERIODS = (1, 104, 104, 104, 104, 104, 104, 104)
_DROPOUTS = (0.0, 0.0, 0.4, 0.65, 0.88, 0.96, 0.985, 1.0)
_ONSET_WIDTH_MS = 50.0


def dial(amount: float, n_codebooks: int, n_coarse: int) -> PromptConfig:
    """Return the prompt for an amount of change.

    Up to 0.15 the fine model's codebooks are dropped one by one. Up to 0.35 the period grows, and the frames after
    onsets stay, with them the beat. Beyond, dropout takes these away, too. The rows were measured: see
    docs/explanation/experiments.md, "Calibration of the amount".

    Args:
        amount: 0 keeps every token, 1 keeps nothing.
        n_codebooks: of the clip.
        n_coarse: codebooks of the coarse model; fewer than all.

    Raises:
        UsageError: an amount outside 0 to 1.
    """
    import numpy as np  # presets are listed without it

    _check_amount(amount)
    if amount == 1:
        return PromptConfig(period=0)
    if amount < _AMOUNTS[0]:
        n_dropped = int(amount / _AMOUNTS[0] * (n_codebooks - n_coarse))
        return PromptConfig(period=1, keep_codebooks=n_codebooks - n_dropped)
    period = round(float(np.exp(np.interp(amount, _AMOUNTS, np.log(_PERIODS)))))
    dropout = float(np.interp(amount, _AMOUNTS, _DROPOUTS))
    return PromptConfig(period, keep_codebooks=n_coarse, onsets=True, onset_width=_ONSET_WIDTH_MS, dropout=dropout)


# The rule of older recipes: amount and period, without onsets.
_PERIODS_ALONE = (
    (0.18, 1),
    (0.25, 2),
    (0.29, 3),
    (0.35, 5),
    (0.39, 7),
    (0.45, 13),
    (0.53, 26),
    (0.61, 52),
    (0.69, 104),
    (0.79, 208),
    (0.88, 416),
)


def dial_without_onsets(amount: float, n_codebooks: int, n_coarse: int) -> PromptConfig:
    """Return the prompt for an amount of change in recipes of a `rendering` below 3.

    Between the rows of a fixed table dropout grows, so that the kept share falls continuously.

    Args:
        amount: 0 keeps every token, 1 keeps nothing.
        n_codebooks: of the clip.
        n_coarse: codebooks of the coarse model; fewer than all.

    Raises:
        UsageError: an amount outside 0 to 1.
    """
    _check_amount(amount)
    if amount == 1:
        return PromptConfig(period=0)
    rows = _rows(n_codebooks, n_coarse)
    i = bisect_right(rows, amount, key=itemgetter(0))
    (start, period, n_kept), (end, next_period, n_kept_next) = rows[i - 1 : i + 1]
    left = (n_kept_next / next_period) / (n_kept / period)  # share of the kept tokens that the next row keeps
    dropout = (amount - start) / (end - start) * (1 - left)
    return PromptConfig(period=period, keep_codebooks=n_kept, dropout=dropout)


def _rows(n_codebooks: int, n_coarse: int) -> list[tuple[float, int, int]]:
    """Rows of amount, period and kept codebooks, from everything kept to nothing."""
    n_fine = n_codebooks - n_coarse
    fine = [(_PERIODS_ALONE[0][0] * i / n_fine, 1, n_codebooks - i) for i in range(n_fine)]
    return [*fine, *((amount, period, n_coarse) for amount, period in _PERIODS_ALONE), (1.0, 1, 0)]


def _check_amount(amount: float) -> None:
    if not 0 <= amount <= 1:
        raise UsageError(f"amount is {amount}", "it must be from 0 (keep everything) to 1 (keep nothing)")
