"""Compare a result with its replay, and the environments that made them."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

from vampcli.audio.formats import TOKENS
from vampcli.recipe.recipe import MadeBy


def differences(then: MadeBy, now: MadeBy) -> list[str]:
    """Differences between two environments, in words."""
    words = {"model_sha256": "another version of the model", "version": "another version of vamp"}
    found = [
        f"{words.get(f.name, f.name)}: {getattr(then, f.name)!s:.20} then, {getattr(now, f.name)!s:.20} now"
        for f in fields(MadeBy)
        if f.name not in ("model", "licence") and getattr(then, f.name) != getattr(now, f.name)
    ]
    return found or ([] if now.exact else ["made in batches, without --exact"])


def compare_results(result: Path, again: Path) -> tuple[bool, str]:
    """Compare two results; return True if they are equal, and a sentence about it."""
    if result.suffix.lower() == TOKENS:
        from vampcli.recipe import token_file

        one, two = (token_file.load(path).kept for path in (result, again))
        same = one.shape == two.shape and bool((one == two).all())
        return same, f"{'the same' if same else 'other'} tokens as in {result.name}"
    from vampcli.audio.read import read

    one_s, two_s = (read(path).samples for path in (result, again))
    if one_s.shape != two_s.shape:
        return False, f"{two_s.shape[1]} samples, {one_s.shape[1]} in {result.name}"
    n_other = int((one_s != two_s).any(axis=0).sum())
    if n_other == 0:
        return True, f"the same samples as {result.name}"
    worst = 20 * math.log10(float(abs(one_s - two_s).max()))
    return False, f"{n_other} of {one_s.shape[1]} samples differ from {result.name}, by {worst:.0f} dBFS"
