"""Experiments: read, swept, carried out, gone on with, summed up."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from conftest import Ran
from test_evaluate_musicnn import small_weights
from vampcli.api import Model
from vampcli.cli.plots.experiment import draw
from vampcli.errors import InputError, UsageError
from vampcli.evaluate import measures
from vampcli.evaluate.excerpts import cut, spread_over
from vampcli.evaluate.frechet import frechet_distance
from vampcli.evaluate.records import REFERENCE, Record, appended, done, read_records
from vampcli.evaluate.run import Trial, reference_records
from vampcli.evaluate.spec import Condition, read_experiment
from vampcli.evaluate.summary import DISTANCE, FLOOR, TO_EXCERPTS, Estimate, Row, summarised
from vampcli.evaluate.tables import write_tables
from vampcli.model.batching import Batches

Vamp = Callable[..., Ran]
Song = Callable[..., Path]
CONFIGS = Path(__file__).parents[1] / "configs/eval"

TOML = """
excerpt_s = 1.0
n_excerpts = 3
n_takes = 2
figures = ["sound", "tokens", "embedding"]

[[conditions]]
name = "steps"
request.prompt.period = 4
sampling.n_fine_steps = 1
sweep."sampling.n_steps" = [1, 2]

[[conditions]]
name = "codec"
command = "codec"
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small network in the place of musicnn's."""
    monkeypatch.setattr(measures, "_weights", lambda: small_weights(96))
    monkeypatch.setattr(measures, "_NEEDS", {})


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.toml"
    path.write_text(TOML)
    return path


@pytest.fixture
def songs(song: Song, tmp_path: Path) -> Path:
    (tmp_path / "songs").mkdir()
    for i, seconds in enumerate((2.5, 0.7, 3.1)):
        song(f"songs/{i}.wav", seconds=seconds, seed=i)
    return tmp_path / "songs"


def test_a_sweep_is_a_condition_for_each_choice(toml: Path) -> None:
    found = read_experiment(toml, {"n_excerpts": 2})
    assert [condition.label for condition in found.conditions] == ["steps: n_steps 1", "steps: n_steps 2", "codec"]
    assert [condition.config.n_steps for condition in found.conditions] == [1, 2, 36]
    assert len({condition.key for condition in found.conditions}) == 3
    assert found.n_excerpts == 2
    assert found.seeds(3) == range(3000, 3002)


def test_conditions_have_the_sampling_of_the_experiment_but_for_their_own(toml: Path) -> None:
    toml.write_text("sampling = { n_steps = 7, temperature = 0.5 }" + TOML)
    swept, _, codec = read_experiment(toml).conditions
    assert swept.sampling == {"n_steps": 1, "n_fine_steps": 1, "temperature": 0.5}
    assert codec.sampling == {"n_steps": 7, "temperature": 0.5}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_our_experiments_can_be_read(path: Path) -> None:
    assert len(read_experiment(path).conditions) >= 3


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (('name = "codec"', 'nam = "codec"'), "unknown key 'nam'"),
        (("n_steps", "n_stepz"), "n_stepz"),
        (("period = 4", "period = -4"), "period is -4"),
        (('command = "codec"', 'command = "hum"'), "no command 'hum'"),
        (("[1, 2]", "[1, 1]"), "there twice"),
        (("[1, 2]", "3"), "write a list"),
        (('"sampling.n_steps"', '"steps"'), "begin with request. or sampling."),
        (('["sound"', '["smell"'), "no figure 'smell'"),
        (("n_takes = 2", "n_takes = 0"), "n_takes is 0"),
        (("n_takes = 2", 'baseline = "step"'), "'step' is no condition"),
        (('command = "codec"', "silenced = true"), "only spans of inpaint"),
    ],
)
def test_what_makes_no_sense_is_refused(toml: Path, change: tuple[str, str], fact: str) -> None:
    toml.write_text(TOML.replace(*change))
    with pytest.raises(UsageError) as error:
        read_experiment(toml)
    assert fact in f"{error.value.message} {error.value.hint}"


def test_excerpts_are_spread_and_do_not_overlap(songs: Path) -> None:
    files = sorted(songs.iterdir())
    places = spread_over(files, 1.0, 99)
    assert [place.path.name for place in places] == ["0.wav", "0.wav", "2.wav", "2.wav", "2.wav"]
    assert places[1].start_s - places[0].start_s >= 1
    assert len(spread_over(files, 1.0, 2)) == 2
    found = list(cut(places, 22050, {1, 4}))
    assert [place.index for place, _ in found] == [1, 4]
    assert all(audio.samples.shape == (1, 22050) for _, audio in found)
    with pytest.raises(InputError, match="none of 3 recordings is 9 s long"):
        spread_over(files, 9.0, 2)


@pytest.mark.usefixtures("small")
def test_a_trial_gives_the_same_records_in_parts_and_at_once(tiny: Model, toml: Path, songs: Path) -> None:
    places = spread_over(sorted(songs.iterdir()), 1.0, 3)
    trial = Trial(replace(tiny, batches=Batches(1, 2)), read_experiment(toml), places)
    records = list(trial.records(set()))
    assert records == list(Trial(tiny, trial.experiment, places).records(set()))  # one after another
    assert len(records) == trial.n_records == 3 * 3
    assert all(len(record["original"]) == len(record["takes"][0]["embedding"]) for record in records)
    assert [record["excerpt"] for record in records] == sorted(record["excerpt"] for record in records)
    keys = [(record["condition"], record["excerpt"]) for record in records]
    again = list(trial.records(set(keys[:5])))
    assert again == records[5:]
    steps = [record for record in records if '"n_steps": 1' in record["condition"]]
    assert all(len(record["takes"]) == 2 and record["diversity"] > 0 for record in steps)
    codec = next(record for record in records if record["condition"].startswith('["codec"'))
    assert codec["takes"][0]["token_accuracy"] is None  # nothing was made
    assert codec["takes"][0]["level_db"] == pytest.approx(0, abs=0.01)


def test_noise_replaces_a_share_of_tokens(tiny: Model, songs: Path, toml: Path) -> None:
    trial = Trial(tiny, read_experiment(toml), spread_over([songs / "2.wav"], 3.0, 1))
    ((_, audio),) = cut(trial.places, 44100, {0})
    original = trial._original(audio)
    condition = Condition("x", "codec", {"noise": 0.3})
    takes = trial._takes(tiny, condition, original, range(2))
    for take in takes:
        changed = take.tokens[0] != original.tokens
        assert torch.equal(changed & ~take.mask, torch.zeros_like(changed))
        assert 0.2 < float(take.mask.float().mean()) < 0.4
        assert changed[take.mask].float().mean() > 0.9
    assert not torch.equal(takes[0].mask, takes[1].mask)
    (clean,) = trial._takes(tiny, Condition("x", "codec"), original, range(1))
    assert torch.equal(clean.tokens[0], original.tokens)
    assert not clean.mask.any()
    with pytest.raises(UsageError, match=r"noise is 1\.5"):
        Condition("x", "codec", {"noise": 1.5}).verb  # noqa: B018


@pytest.mark.parametrize("silenced", [True, False])
def test_silenced_spans_are_not_heard(tiny: Model, songs: Path, tmp_path: Path, silenced: bool) -> None:
    """Whether tokens beside a span have heard it: two excerpts that differ in the span alone."""
    request = {"places": {"spans": [[0.4, 0.6]]}, "margin": 0}
    condition = Condition("x", "inpaint", request, {"n_steps": 1}, silenced=silenced)
    path = tmp_path / "e.toml"
    path.write_text('excerpt_s = 1.0\nfigures = ["tokens"]\n[[conditions]]\nname = "x"\n')
    trial = Trial(tiny, read_experiment(path), spread_over([songs / "0.wav"], 1.0, 1))
    (_, audio), *_ = cut(trial.places, 44100, {0})
    changed = audio.samples.copy()
    changed[:, round(0.4 * 44100) : round(0.6 * 44100)] = np.random.default_rng(0).uniform(-0.9, 0.9, 8820)
    takes = [
        trial._takes(tiny, condition, trial._original(type(audio)(samples, 44100)), range(1))[0]
        for samples in (audio.samples, changed)
    ]
    kept = ~takes[0].mask
    assert torch.equal(takes[0].tokens[0][kept], takes[1].tokens[0][kept]) == silenced
    assert all(np.abs(take.base.samples[:, 20000:24000]).max() > 0 for take in takes)


def record(piece: str, value: float, made: np.ndarray, real: np.ndarray) -> Record:
    """Of an excerpt with as many takes as `made` has rows, one patch each."""
    takes = [{"mel_error": value, "embedding": [list(map(float, patch))]} for patch in made]
    head = {"condition": Condition("a").key, "excerpt": int(value), "piece": piece}
    return {**head, "takes": takes, "original": [list(map(float, real))], "diversity": None}


@pytest.mark.parametrize("n_takes", [1, 3])
def test_means_and_distances_have_intervals_over_recordings(n_takes: int) -> None:
    rng = np.random.default_rng(0)
    made, real, other = rng.normal(1, 1, (40, n_takes, 3)), rng.normal(0, 1, (40, 3)), rng.normal(0, 1, (50, 3))
    records = [record(f"piece {i % 4}", float(i), made[i], real[i]) for i in range(40)]
    reference = [{"condition": REFERENCE, "takes": [{"embedding": [list(map(float, patch))]}]} for patch in other]
    failed = {"condition": Condition("a").key, "excerpt": 40, "piece": "piece 9", "takes": [], "failed": "no beat"}
    (row,) = summarised([*records, *reference, failed], [Condition("a"), Condition("b", "codec")])
    assert (row.label, row.n_excerpts, row.n_failed) == ("a", 40, 1)
    assert row.figures["mel_error"].value == pytest.approx(19.5)
    means = [float(np.mean(range(i, 40, 4))) for i in range(4)]
    student = 3.182 * np.std(means, ddof=1) / np.sqrt(4)  # of three degrees of freedom
    assert row.figures["mel_error"].error == pytest.approx(student, rel=0.1)
    distances = [frechet_distance(other, made[:, i]) for i in range(n_takes)]
    assert row.figures[DISTANCE].value == pytest.approx(np.mean(distances))
    assert row.figures[FLOOR].value == pytest.approx(frechet_distance(other, real))
    own = [frechet_distance(made[:, i], real) for i in range(n_takes)]
    assert row.figures[TO_EXCERPTS].value == pytest.approx(np.mean(own))
    assert "diversity" not in row.figures


def measured(condition: Condition, i: int, value: float, patch: float | None = None) -> Record:
    """Of excerpt i, of six recordings."""
    head = {"condition": condition.key, "excerpt": i, "piece": f"piece {i % 6}", "diversity": None}
    if patch is None:
        return {**head, "takes": [{"mel_error": value}]}
    return {**head, "takes": [{"mel_error": value, "embedding": [[patch, value]]}], "original": [[float(i), 0.0]]}


def test_differences_are_surer_than_what_differs() -> None:
    """Conditions share how hard a recording is; b is 1 above a everywhere, and c as far as chance has it."""
    rng = np.random.default_rng(0)
    a, b, c = Condition("a"), Condition("b", "codec"), Condition("c", "loop")
    records = []
    for i in range(60):
        hard = float(10 * (i % 6))
        values = ((a, hard), (b, hard + 1), (c, hard + rng.normal()))
        records += [measured(condition, i, value) for condition, value in values]
    rows = {row.label: row for row in summarised(records, [a, b, c], "a")}
    assert not rows["a"].above
    assert rows["b"].above["mel_error"] == (pytest.approx(1), pytest.approx(0, abs=1e-9))
    assert rows["b"].figures["mel_error"].error == pytest.approx(rows["a"].figures["mel_error"].error)
    assert rows["c"].above["mel_error"].error == pytest.approx(2.571 / np.sqrt(60), rel=0.6)


def test_excerpts_that_failed_do_not_count_as_a_difference() -> None:
    """The same figures, but the hard half could not be made under b."""
    a, b = Condition("a"), Condition("b", "codec")
    records = [measured(condition, i, float(i)) for condition in (a, b) for i in range(12)]
    for record in records:
        if record["condition"] == b.key and record["excerpt"] >= 6:
            record.update(takes=[], failed="no beat")
    row = summarised(records, [a, b], "a")[1]
    assert (row.n_excerpts, row.n_failed) == (6, 6)
    assert row.above["mel_error"] == (0, 0)


@pytest.fixture
def reference() -> list[Record]:
    rng = np.random.default_rng(0)
    patches = [[list(map(float, rng.normal(size=2)))] for _ in range(9)]
    return [{"condition": REFERENCE, "takes": [{"embedding": patch}]} for patch in patches]


def test_a_difference_of_distances_is_the_difference_of_the_distances(reference: list[Record]) -> None:
    rng = np.random.default_rng(1)
    a, b = Condition("a"), Condition("b", "codec")
    records = [measured(c, i, rng.normal(), scale * rng.normal()) for c, scale in ((a, 1), (b, 3)) for i in range(12)]
    base, other = summarised([*records, *reference], [a, b], "a")
    for distance in (DISTANCE, TO_EXCERPTS):
        further = other.figures[distance].value - base.figures[distance].value
        assert abs(further) > 0.1
        assert other.above[distance].value == pytest.approx(further)
    assert FLOOR not in other.above


def test_distances_are_compared_only_of_the_same_patches(reference: list[Record]) -> None:
    a, b, c = Condition("a"), Condition("b", "codec"), Condition("c", "loop")
    records = [measured(condition, i, float(i % 5), float(i % 7)) for condition in (a, b, c) for i in range(12)]
    for record in records:
        if record["condition"] == c.key:  # as if of other places
            record["original"] = [[7.0, float(record["excerpt"])]]
    rows = {row.label: row for row in summarised([*records, *reference], [a, b, c], "a")}
    assert rows["b"].above[DISTANCE] == (0, 0)
    assert DISTANCE in rows["c"].figures
    assert DISTANCE not in rows["c"].above
    longer = summarised([*records, *reference], [a, c, b], "c")  # nor with a baseline of other ones
    assert all(DISTANCE not in row.above for row in longer)
    for record in records:
        if record["condition"] == c.key:  # as if it had been made longer
            record["takes"][0]["embedding"] *= 2
    longer = summarised([*records, *reference], [a, c, b], "c")
    assert all(DISTANCE not in row.above and "mel_error" in row.above for row in longer if row.label != "c")


def test_tables_as_files(tmp_path: Path) -> None:
    both = {"mel_error": Estimate(1.25, None), "x_y": Estimate(7, 1)}
    rows = [
        Row("a", "a", {}, 3, 0, {"mel_error": Estimate(1.0, 0.5)}),
        Row("b", "b", {}, 2, 1, both, {"mel_error": Estimate(0.25, 0.125)}),
    ]
    paths = write_tables(rows, tmp_path, {"model": "m"})
    assert [path.name for path in paths] == ["table.csv", "table.json", "table.md"]
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[0] == "| condition | n | mel error | x y |"
    assert lines[2:] == ["| a | 3 | 1 ± 0.5 |  |", "| b | 2 (1) | 1.25 (+0.25 ± 0.12) | 7 ± 1 |"]
    with (tmp_path / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert table[1]["mel_error_above"] == "0.25"
    assert (table[0]["mel_error_above"], table[0]["x_y"]) == ("", "")
    assert json.loads((tmp_path / "table.json").read_text())["rows"][1]["above_baseline"]["mel_error"]["value"] == 0.25


def test_a_single_patch_has_no_distance() -> None:
    reference = [{"condition": REFERENCE, "takes": [{"embedding": [[0.0, 1.0], [1.0, 0.0]]}]}]
    (row,) = summarised([record("a", 1.0, np.ones((1, 2)), np.ones(2)), *reference], [Condition("a")])
    assert set(row.figures) == {"mel_error"}


def test_a_plot_of_all_conditions_and_one_of_each_number_that_is_swept_alone(tmp_path: Path) -> None:
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


@pytest.mark.usefixtures("small")
def test_what_cannot_be_made_is_counted_and_the_rest_goes_on(tiny: Model, songs: Path, tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(
        'excerpt_s = 1.0\nfigures = ["tokens"]\n[[conditions]]\nname = "beats"\nrequest.prompt.beats = true\n'
    )
    silence = songs / "3.wav"
    sf.write(silence, np.zeros(44100), 44100)
    trial = Trial(tiny, read_experiment(path), spread_over([silence], 1.0, 1))
    (found,) = trial.records(set())
    assert "no beat" in found["failed"]


def test_a_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"condition": "a", "excerpt": 0}\n{"condition": "a", "exc')
    assert len(read_records(path)) == 1
    again = {"condition": "a", "excerpt": 1}
    assert list(appended(path, [again])) == [again]
    assert done(read_records(path)) == {("a", 0), ("a", 1)}
    assert read_records(tmp_path / "none") == []


@pytest.mark.usefixtures("small")
def test_the_reference_is_of_other_recordings(songs: Path) -> None:
    places = spread_over([songs / "2.wav"], 1.0, 2)
    found = list(reference_records(places, 22050, {(REFERENCE, 0)}))
    assert [(record["condition"], record["excerpt"]) for record in found] == [(REFERENCE, 1)]


@pytest.mark.usefixtures("small")
def test_run_writes_tables_and_plots_and_goes_on(
    vamp: Vamp, tiny_folder: Path, toml: Path, songs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    how = ("eval", "run", toml, songs / "0.wav", songs / "2.wav", "-m", tiny_folder, "-o", out, "-d", "cpu")
    ran = vamp(*how, "--reference", songs / "1.wav", "--reference", songs / "2.wav")
    assert ran.code == 0, ran.err
    plots = ("conditions.png", "conditions.svg", "n_steps.png", "n_steps.svg")
    written = [Path(line).name for line in ran.out.splitlines()]
    assert "steps: n_steps 2" in ran.err
    assert written == ["table.csv", "table.json", "table.md", *plots]
    assert all((out / name).stat().st_size > 0 for name in written)
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["condition"] for row in rows] == ["steps: n_steps 1", "steps: n_steps 2", "codec"]
    assert all(float(row["frechet_floor"]) > 0 for row in rows)
    records = (out / "records.jsonl").read_text()
    (out / "records.jsonl").write_text(records[: len(records) // 2])
    again = vamp(*how, "--reference", songs / "1.wav", "--reference", songs / "2.wav")
    assert again.code == 0, again.err
    assert [json.loads(line) for line in sorted(records.splitlines())] == [
        json.loads(line)
        for line in sorted((out / "records.jsonl").read_text().splitlines())
        if line.endswith("}") and line in records
    ]
    none = vamp(*how)
    assert none.code == 2
    assert "distances are measured to other real music" in none.err
    other = vamp(*how, "--reference", songs / "1.wav", "--reference", songs / "2.wav", "-n", 2)
    assert other.code == 3
    assert "holds records of another run" in other.err
