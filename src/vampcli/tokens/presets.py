"""Prompts with a name, and one dial over prompts."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

from vampcli.config import PromptConfig
from vampcli.errors import UsageError

_TABLE = {
    "timbre-transfer": (
        "Other sounds that make the same moves.",
        PromptConfig(period=2, n_kept_codebooks=1),
    ),
    "small-variation": (
        "The same music, played a little differently.",
        PromptConfig(period=5, n_kept_codebooks=4),
    ),
    "small-variation-on-beat": (
        "A small variation that holds on to the beats.",
        PromptConfig(period=7, n_kept_codebooks=4, beats=True, beat_width_ms=50),
    ),
    "medium-variation": (
        "The outline stays, the notes between it change.",
        PromptConfig(period=7, n_kept_codebooks=4),
    ),
    "medium-variation-on-beat": (
        "A medium variation that holds on to the beats.",
        PromptConfig(period=13, n_kept_codebooks=4, beats=True, beat_width_ms=50),
    ),
    "large-variation": (
        "Something else, with traces of the original.",
        PromptConfig(period=13, n_kept_codebooks=4, dropout=0.2),
    ),
    "large-variation-on-beat": (
        "Something else to the same beat: nothing but beats is kept.",
        PromptConfig(period=0, n_kept_codebooks=4, beats=True, beat_width_ms=80),
    ),
    "unconditional": (
        "Whatever the model likes: nothing is kept.",
        PromptConfig(period=0),
    ),
}

PRESETS: dict[str, PromptConfig] = {name: config for name, (_, config) in _TABLE.items()}
"""The presets of the official app, by name."""

PURPOSES: dict[str, str] = {name: purpose for name, (purpose, _) in _TABLE.items()}
"""What each preset is for, in one line."""

# The dial. Up to the first of these amounts the fine model's codebooks go, one by one; then the period grows. An amount
# is how far sound has gone from that of all tokens kept to that of none, measured with `mini` as the mean of mel error
# and correlation of pitch classes: docs/experiments.md, "How far the dial goes".
# Small variation is at 0.35, medium at 0.39, large (with a dropout of 0.2) at 0.482.
_PERIODS = (
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


def dial(amount: float, n_codebooks: int, n_coarse: int) -> PromptConfig:
    """Ask for more or less change with one number.

    Between the rows of a fixed table dropout grows, so that what is kept falls steadily.

    Args:
        amount: 0 keeps every token, 1 keeps nothing.
        n_codebooks: of the clip.
        n_coarse: how many of them are the coarse model's; fewer than all.

    Raises:
        UsageError: an amount outside 0 to 1.
    """
    if not 0 <= amount <= 1:
        raise UsageError(f"amount is {amount}", "it must be from 0 (keep everything) to 1 (keep nothing)")
    if amount == 1:
        return PromptConfig(period=0)
    rows = _rows(n_codebooks, n_coarse)
    place = bisect_right(rows, amount, key=itemgetter(0))
    (start, period, n_kept), (end, next_period, n_kept_next) = rows[place - 1 : place + 1]
    left = (n_kept_next / next_period) / (n_kept / period)  # of what this row keeps, at the next
    dropout = (amount - start) / (end - start) * (1 - left)
    return PromptConfig(period=period, n_kept_codebooks=n_kept, dropout=dropout)


def _rows(n_codebooks: int, n_coarse: int) -> list[tuple[float, int, int]]:
    """Amount, period, kept codebooks: from everything to nothing."""
    n_fine = n_codebooks - n_coarse
    fine = [(_PERIODS[0][0] * i / n_fine, 1, n_codebooks - i) for i in range(n_fine)]
    return [*fine, *((amount, period, n_coarse) for amount, period in _PERIODS), (1.0, 1, 0)]
