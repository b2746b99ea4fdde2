"""Tables of experiments: means, intervals, distances, differences; files and plots."""

import json
from pathlib import Path

import numpy as np
import pytest

from vampcli.cli.plots.experiment import draw
from vampcli.evaluate.frechet import Normal
from vampcli.evaluate.run import (
    REFERENCE,
    Record,
)
from vampcli.evaluate.spec import Condition
from vampcli.evaluate.summary import DISTANCE, FLOOR, TO_EXCERPTS, Estimate, Row, summarize, write_tables


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return Normal.of(a).distance(Normal.of(b))


def record(piece: str, value: float, made: np.ndarray, real: np.ndarray) -> Record:
    """Of an excerpt with as many takes as `made` has rows, one patch each."""
    takes = [{"mel_error": value, "embedding": [list(map(float, patch))]} for patch in made]
    head = {"condition": Condition("a").key, "excerpt": int(value), "piece": piece}
    return {**head, "takes": takes, "original": [list(map(float, real))], "diversity": None}


@pytest.mark.parametrize("n_takes", [1, 3])
def test_intervals_are_over_recordings(n_takes: int) -> None:
    rng = np.random.default_rng(0)
    made, real, other = rng.normal(1, 1, (40, n_takes, 3)), rng.normal(0, 1, (40, 3)), rng.normal(0, 1, (50, 3))
    records = [record(f"piece {i % 4}", float(i), made[i], real[i]) for i in range(40)]
    reference = [{"condition": REFERENCE, "takes": [{"embedding": [list(map(float, patch))]}]} for patch in other]
    failed = {"condition": Condition("a").key, "excerpt": 40, "piece": "piece 9", "takes": [], "failed": "no beat"}
    (row,) = summarize([*records, *reference, failed], [Condition("a"), Condition("b", "codec")])
    assert (row.label, row.n_excerpts, row.n_failed) == ("a", 40, 1)
    assert row.figures["mel_error"].value == pytest.approx(19.5)
    means = [float(np.mean(range(i, 40, 4))) for i in range(4)]
    student = 3.182 * np.std(means, ddof=1) / np.sqrt(4)  # of three degrees of freedom
    assert row.figures["mel_error"].error == pytest.approx(student, rel=0.1)
    distances = [distance(other, made[:, i]) for i in range(n_takes)]
    assert row.figures[DISTANCE].value == pytest.approx(np.mean(distances))
    assert row.figures[FLOOR].value == pytest.approx(distance(other, real))
    own = [distance(made[:, i], real) for i in range(n_takes)]
    assert row.figures[TO_EXCERPTS].value == pytest.approx(np.mean(own))
    assert "diversity" not in row.figures


def measured(condition: Condition, i: int, value: float, patch: float | None = None) -> Record:
    """Of excerpt i, of six recordings."""
    head = {"condition": condition.key, "excerpt": i, "piece": f"piece {i % 6}", "diversity": None}
    if patch is None:
        return {**head, "takes": [{"mel_error": value}]}
    return {**head, "takes": [{"mel_error": value, "embedding": [[patch, value]]}], "original": [[float(i), 0.0]]}


def test_paired_differences_are_more_precise() -> None:
    """Conditions share how hard a recording is; b is 1 above a everywhere, and c as far as chance has it."""
    rng = np.random.default_rng(0)
    a, b, c = Condition("a"), Condition("b", "codec"), Condition("c", "loop")
    records = []
    for i in range(60):
        hard = float(10 * (i % 6))
        values = ((a, hard), (b, hard + 1), (c, hard + rng.normal()))
        records += [measured(condition, i, value) for condition, value in values]
    rows = {row.label: row for row in summarize(records, [a, b, c], "a")}
    assert not rows["a"].above
    assert rows["b"].above["mel_error"] == (pytest.approx(1), pytest.approx(0, abs=1e-9))
    assert rows["b"].figures["mel_error"].error == pytest.approx(rows["a"].figures["mel_error"].error)
    assert rows["c"].above["mel_error"].error == pytest.approx(2.571 / np.sqrt(60), rel=0.6)


def test_failed_excerpts_make_no_difference() -> None:
    """The same figures, but the hard half could not be made under b."""
    a, b = Condition("a"), Condition("b", "codec")
    records = [measured(condition, i, float(i)) for condition in (a, b) for i in range(12)]
    for record in records:
        if record["condition"] == b.key and record["excerpt"] >= 6:
            record.update(takes=[], failed="no beat")
    row = summarize(records, [a, b], "a")[1]
    assert (row.n_excerpts, row.n_failed) == (6, 6)
    assert row.above["mel_error"] == (0, 0)


@pytest.fixture
def reference() -> list[Record]:
    rng = np.random.default_rng(0)
    patches = [[list(map(float, rng.normal(size=2)))] for _ in range(9)]
    return [{"condition": REFERENCE, "takes": [{"embedding": patch}]} for patch in patches]


def test_difference_of_distances(reference: list[Record]) -> None:
    rng = np.random.default_rng(1)
    a, b = Condition("a"), Condition("b", "codec")
    records = [measured(c, i, rng.normal(), scale * rng.normal()) for c, scale in ((a, 1), (b, 3)) for i in range(12)]
    base, other = summarize([*records, *reference], [a, b], "a")
    for distance in (DISTANCE, TO_EXCERPTS):
        further = other.figures[distance].value - base.figures[distance].value
        assert abs(further) > 0.1
        assert other.above[distance].value == pytest.approx(further)
    assert FLOOR not in other.above


def test_distances_need_the_same_patches(reference: list[Record]) -> None:
    a, b, c = Condition("a"), Condition("b", "codec"), Condition("c", "loop")
    records = [measured(condition, i, float(i % 5), float(i % 7)) for condition in (a, b, c) for i in range(12)]
    for record in records:
        if record["condition"] == c.key:  # as if of other places
            record["original"] = [[7.0, float(record["excerpt"])]]
    rows = {row.label: row for row in summarize([*records, *reference], [a, b, c], "a")}
    assert rows["b"].above[DISTANCE] == (0, 0)
    assert DISTANCE in rows["c"].figures
    assert DISTANCE not in rows["c"].above
    longer = summarize([*records, *reference], [a, c, b], "c")  # nor with a baseline of other ones
    assert all(DISTANCE not in row.above for row in longer)
    for record in records:
        if record["condition"] == c.key:  # as if it had been made longer
            record["takes"][0]["embedding"] *= 2
    longer = summarize([*records, *reference], [a, c, b], "c")
    assert all(DISTANCE not in row.above and "mel_error" in row.above for row in longer if row.label != "c")


def test_tables_as_files(tmp_path: Path) -> None:
    both = {"mel_error": Estimate(1.25, None), "x_y": Estimate(7, 1)}
    rows = [
        Row("a", "a", {}, 3, 0, {"mel_error": Estimate(1.0, 0.5)}),
        Row("b", "b", {}, 2, 1, both, {"mel_error": Estimate(0.25, 0.125)}),
    ]
    paths = write_tables(rows, tmp_path, {"model": "m"})
    assert [path.name for path in paths] == ["table.json", "table.md"]
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0] == "| condition | n | mel error | x y |"
    assert lines[2:] == ["| a | 3 | 1 ± 0.5 |  |", "| b | 2 (1) | 1.25 (+0.25 ± 0.12) | 7 ± 1 |"]
    assert json.loads((tmp_path / "table.json").read_text())["rows"][1]["above_baseline"]["mel_error"]["value"] == 0.25


def test_a_single_patch_has_no_distance() -> None:
    reference = [{"condition": REFERENCE, "takes": [{"embedding": [[0.0, 1.0], [1.0, 0.0]]}]}]
    (row,) = summarize([record("a", 1.0, np.ones((1, 2)), np.ones(2)), *reference], [Condition("a")])
    assert set(row.figures) == {"mel_error"}


def test_plots_of_conditions_and_swept_numbers(tmp_path: Path) -> None:
    figure = {"mel_error": Estimate(1.0, None)}
    far = {**figure, DISTANCE: Estimate(2.0, 0.1), FLOOR: Estimate(1.0, 0.1)}
    rows = [
        *(Row("a", f"a: n {n}", {"request.n": n}, 3, 0, figure) for n in (1, 8, 2)),
        Row("b", "b: m 1", {"request.m": 1}, 3, 0, far),  # one value is no curve
        *(Row("c", f"c: k {k}", {"k": k}, 3, 0, far) for k in ("one", "two")),  # nor are words
        *(Row("d", f"d: x {x} y {x}", {"x": x, "y": x}, 3, 0, far) for x in (0, 1)),  # nor two numbers at once
        Row("empty", "empty"),
    ]
    paths = draw(rows, tmp_path, over="no such figure")
    assert [path.name for path in paths] == ["conditions.png", "conditions.svg", "n.png", "n.svg"]
    assert all(path.stat().st_size for path in paths)
    svg = (tmp_path / "conditions.svg").read_text()
    assert all(row.label in svg for row in rows[:-1])
    assert all(f"<!-- {title} -->" in svg for title in ("mel error", "frechet", "real music"))
    over = draw(rows, tmp_path, over=DISTANCE)
    assert [path.name for path in over] == ["frechet.png", "frechet.svg"]
    svg = (tmp_path / "frechet.svg").read_text()
    assert all(f"<!-- {curve} -->" in svg for curve in ("b", "c", "d, x 0", "d, x 1"))  # along y, swept last
    assert draw(rows[-1:], tmp_path) == []
    assert draw(rows[:1], tmp_path, over="mel_error")[0].stem == "conditions"  # there is nothing else to draw
