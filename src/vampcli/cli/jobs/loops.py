"""Loops in words and as facts: loop points and junctions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vampcli.cli.jobs.job import Facts

if TYPE_CHECKING:
    from vampcli.api import Take
    from vampcli.audio.junction import Junction
    from vampcli.memory.loop_points import LoopPoints
    from vampcli.tasks.plan import Plan

_N_LISTED = 3


def describe_plan(plan: Plan, rate: int) -> tuple[Facts, str]:
    """Return facts and a note about the loop of a plan: its points, and what is done at its junction."""
    assert plan.loop is not None
    facts: Facts = {"junction": _facts(plan.loop.junction, rate)}
    if plan.loop.found:
        facts["found"] = [_point_facts(one, rate) for one in plan.loop.found]
    words = (_found_words(plan.loop.found, rate), f"junction: {method_words(plan.loop.junction, rate)}")
    return facts, "; ".join(filter(None, words))


def describe_loop(take: Take) -> tuple[Facts, str]:
    """Return facts and a note about the junctions of a take, before and after."""
    from vampcli.audio.junction import Sides, attack_db, click_between

    rate, n, facts = take.audio.sample_rate, take.audio.n_samples // len(take.junctions), []
    for i, junction in enumerate(take.junctions):
        sides = Sides.in_loop(take.audio.samples, i * n, n, rate)
        after = {
            "click": click_between(sides.end, sides.start, rate),
            "attack_db": round(attack_db(sides.end, sides.start, rate), 2),
        }
        facts.append({**_facts(junction, rate), **after})
    clicks = [one["click"] for one in facts]
    shared: Facts = {"clicks": None if None in clicks else clicks, "junctions": facts}
    if take.recipe and not take.recipe.made_by.model_sha256:
        shared |= {"model": None, "licence": None}
    return shared, "; ".join([*_figures(take.junctions, facts), _methods(take.junctions, rate)])


def method_words(junction: Junction, rate: int) -> str:
    """Return what is done at a junction: `crossfade of 4 ms`."""
    length_s = (junction.end - junction.start) / rate
    if junction.method == "copied":
        return f"not re-made: {'too short to measure' if junction.click is None else 'clean already'}"
    if junction.method == "crossfaded":
        return f"crossfade of {1000 * length_s:.0f} ms"
    if junction.method == "generated":
        where = "around it" if junction.end > 0 and not junction.attack else "before it"
        return f"{length_s:.2f} s re-made {'before the attack' if junction.attack else where}"
    return "raw cut" if junction.method == "cut" else "re-made with the copies"


def _figures(junctions: Sequence[Junction], facts: Sequence[Facts]) -> list[str]:
    """Click and attack figures in words: the worst of all junctions, and those of the wrap."""
    from vampcli.audio.clicks import LIMIT

    rows = [one for one in facts if one["click"] is not None]
    if not rows:
        return []
    worst = max(rows, key=lambda one: one["click"])
    clicking = [one for one, row in zip(junctions, facts, strict=True) if (row["click"] or 0) > one.allowed]
    verdict = "no click" if worst["click"] <= LIMIT else "no click but the attack of the recording"
    if clicking:
        made = any(one.method == "generated" for one in clicking)
        verdict = f"may click: try {'another --seed, or a longer --seam' if made else '--seam 0.3'}"
    wrap = facts[0]
    return [
        f"junctions at most {worst['click']:.2g} of {LIMIT:g} (before: {worst['click_before']:.2g}), {verdict}",
        f"attack {wrap['attack_db']:+.1f} dB (before: {wrap['attack_db_before']:+.1f} dB)",
    ]


def _methods(junctions: Sequence[Junction], rate: int) -> str:
    """Describe the treatment of the wrap, and of the junctions between copies if it differs."""
    wrap, *others = (method_words(one, rate) for one in junctions)
    return wrap if set(others) <= {wrap} else f"{wrap} (wrap), {others[0]} (others)"


def _facts(junction: Junction, rate: int) -> Facts:
    return {
        "method": junction.method,
        "start_s": junction.start / rate,
        "end_s": junction.end / rate,
        "click_before": junction.click,
        "attack_db_before": round(junction.attack_db, 2),
        "allowed": junction.allowed,
    }


def _point_facts(points: LoopPoints, rate: int) -> Facts:
    return {
        "start_s": points.start / rate,
        "end_s": points.end / rate,
        "start": points.start,
        "end": points.end,
        "score": round(points.score, 4),
        "waveform_score": round(points.waveform_score, 4),
    }


def _found_words(found: Sequence[LoopPoints], rate: int) -> str:
    """Loop points that can be typed again, with their scores."""
    listed = [f"{one.start / rate:.6f}-{one.end / rate:.6f} s (score {one.score:.2f})" for one in found[:_N_LISTED]]
    return f"found {listed[0]}{', then ' * (len(listed) > 1)}{', '.join(listed[1:])}" if listed else ""
