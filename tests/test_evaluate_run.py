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

from conftest import Ran, music
from vampcli import Waveform
from vampcli.api import Model
from vampcli.cli.plots.experiment import draw
from vampcli.errors import InputError, UsageError
from vampcli.evaluate.excerpts import choose_excerpts, cut_excerpts
from vampcli.evaluate.frechet import Normal
from vampcli.evaluate.measures import EMBEDDING, Original, embed_patches, embedding, seams, sound
from vampcli.evaluate.run import (
    REFERENCE,
    Record,
    Trial,
    append_records,
    done,
    make_takes,
    randomize_transformers,
    read_records,
    reference_records,
)
from vampcli.evaluate.spec import Condition, read_experiment
from vampcli.evaluate.summary import DISTANCE, FLOOR, TO_EXCERPTS, Estimate, Row, summarize, write_tables
from vampcli.model.batching import Batches

Vamp = Callable[..., Ran]
Song = Callable[..., Path]
FILLS = ("silence", "repeat")
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


def test_each_swept_value_makes_a_condition(toml: Path) -> None:
    found = read_experiment(toml, {"n_excerpts": 2})
    assert [condition.label for condition in found.conditions] == ["steps: n_steps 1", "steps: n_steps 2", "codec"]
    assert [condition.config.n_steps for condition in found.conditions] == [1, 2, 36]
    assert len({condition.key for condition in found.conditions}) == 3
    assert found.n_excerpts == 2
    assert found.seeds(3) == range(3000, 3002)


def test_sampling_of_a_condition_overrides_the_experiments(toml: Path) -> None:
    toml.write_text("sampling = { n_steps = 7, temperature = 0.5 }" + TOML)
    swept, _, codec = read_experiment(toml).conditions
    assert swept.sampling == {"n_steps": 1, "n_fine_steps": 1, "temperature": 0.5}
    assert codec.sampling == {"n_steps": 7, "temperature": 0.5}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_experiments_can_be_read(path: Path) -> None:
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
        (('command = "codec"', 'fill = "repeat"'), "is filled by repeat"),
        (('command = "codec"', 'fill = "noise"'), "fill is 'noise'"),
    ],
)
def test_invalid_experiments_are_refused(toml: Path, change: tuple[str, str], fact: str) -> None:
    toml.write_text(TOML.replace(*change))
    with pytest.raises(UsageError) as error:
        read_experiment(toml)
    assert fact in f"{error.value.message} {error.value.hint}"


def test_excerpts_are_spread_and_do_not_overlap(songs: Path) -> None:
    files = sorted(songs.iterdir())
    places = choose_excerpts(files, 1.0, 99)
    assert [place.path.name for place in places] == ["0.wav", "0.wav", "2.wav", "2.wav", "2.wav"]
    assert places[1].start_s - places[0].start_s >= 1
    assert len(choose_excerpts(files, 1.0, 2)) == 2
    found = list(cut_excerpts(places, 22050, {1, 4}))
    assert [place.index for place, _ in found] == [1, 4]
    assert all(audio.samples.shape == (1, 22050) for _, audio in found)
    with pytest.raises(InputError, match="none of 3 recordings is 9 s long"):
        choose_excerpts(files, 9.0, 2)


def test_resumed_and_parallel_runs_agree(tiny: Model, toml: Path, songs: Path) -> None:
    places = choose_excerpts(sorted(songs.iterdir()), 1.0, 3)
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


@pytest.fixture
def original(tiny: Model) -> Original:
    audio = Waveform(music(1.0, 44100)[:1].astype(np.float32), 44100)
    return encode(tiny, audio)


def encode(model: Model, audio: Waveform) -> Original:
    return Original(audio, model.encode(audio), model.grid.codebook_size)


def test_noise_replaces_a_share_of_tokens(tiny: Model, original: Original) -> None:
    takes = make_takes(tiny, Condition("x", "codec", {"noise": 0.3}), original, range(2))
    for take in takes:
        changed = take.tokens[0] != original.tokens
        assert not (changed & ~take.mask).any()
        assert 0.2 < float(take.mask.float().mean()) < 0.4
        assert changed[take.mask].float().mean() > 0.9
    assert not torch.equal(takes[0].mask, takes[1].mask)
    (clean,) = make_takes(tiny, Condition("x", "codec"), original, range(2))
    assert torch.equal(clean.tokens[0], original.tokens)
    assert not clean.mask.any()
    with pytest.raises(UsageError, match=r"noise is 1\.5"):
        Condition("x", "codec", {"noise": 1.5}).task  # noqa: B018


SPAN = {"places": {"spans": [[0.4, 0.6]]}, "margin": 0}


@pytest.mark.parametrize("silenced", [True, False])
def test_silenced_spans_leave_no_trace_in_tokens(tiny: Model, original: Original, silenced: bool) -> None:
    """Compare two excerpts that differ in the span alone."""
    condition = Condition("x", "inpaint", SPAN, {"n_steps": 1}, silenced=silenced)
    changed = original.audio.samples.copy()
    changed[:, round(0.4 * 44100) : round(0.6 * 44100)] = np.random.default_rng(0).uniform(-0.9, 0.9, 8820)
    both = (original, encode(tiny, replace(original.audio, samples=changed)))
    (a,), (b,) = (make_takes(tiny, condition, one, range(1)) for one in both)
    kept = ~a.mask
    assert torch.equal(a.tokens[0][kept], b.tokens[0][kept]) == silenced
    assert all(np.abs(take.base.samples[:, 20000:24000]).max() > 0 for take in (a, b))


@pytest.mark.parametrize(("start_s", "end_s"), [(0.4, 0.6), (0.2, 0.8), (0.0, 0.3)])
def test_spans_filled_without_a_model(tiny: Model, original: Original, start_s: float, end_s: float) -> None:
    request = {"places": {"spans": [[start_s, end_s]]}}
    makes = (make_takes(tiny, Condition("x", "inpaint", request, fill=fill), original, range(2)) for fill in FILLS)
    (silent,), (again,) = makes
    start, end = round(start_s * 44100), round(end_s * 44100)
    source = original.audio.samples
    for take in (silent, again):
        assert take.spans == ((start, end),)
        assert np.array_equal(
            np.delete(take.audio.samples, np.s_[start:end], 1), np.delete(source, np.s_[start:end], 1)
        )
        assert take.tokens[0].shape == take.mask.shape == original.tokens.shape
        assert 0 < take.mask.sum() < take.mask.numel()
    assert not silent.audio.samples[:, start:end].any()
    n = min(start, end - start)
    filled = again.audio.samples[:, start:end]
    assert np.array_equal(filled[:, :n], source[:, start - n : start])
    assert np.array_equal(filled[:, n:], filled[:, : end - start - n] if n else np.zeros((1, end - start)))


def test_figures_of_a_card(tiny: Model, original: Original) -> None:
    """What repeats is its own continuation; silence is neither loud nor close."""
    card = read_experiment(CONFIGS / "card.toml")
    assert [condition.fill for condition in card.conditions] == ["model", "model", "silence", "repeat"]
    again = encode(tiny, replace(original.audio, samples=np.tile(original.audio.samples[:, :8820], 5)))
    figures = {}
    for fill in FILLS:
        (take,) = make_takes(tiny, Condition("x", "inpaint", SPAN, fill=fill), again, range(1))
        figures[fill] = {**sound(take, again), **seams(take, again), "patches": embedding(take, again)[EMBEDDING]}
    assert figures["repeat"]["mel_error"] == pytest.approx(0, abs=1e-4)
    assert figures["repeat"]["level_db"] == pytest.approx(0, abs=1e-3)
    assert figures["silence"]["mel_error"] > 0.1
    assert figures["silence"]["level_db"] < -40
    assert all(figures[fill]["click_share"] in (0, 0.5, 1) for fill in FILLS)
    (real,) = embed_patches(again.audio, ((17640, 26460),))
    assert figures["repeat"]["patches"][0] == pytest.approx(real, abs=1e-3)
    assert figures["silence"]["patches"][0] != pytest.approx(real, abs=1e-1)


def test_untrained_transformers_share_the_codec_only(tiny: Model) -> None:
    fresh, again = randomize_transformers(tiny), randomize_transformers(tiny)
    assert torch.equal(fresh.coarse.codebooks, tiny.coarse.codebooks)
    assert torch.equal(fresh.fine.classifier.weight, again.fine.classifier.weight)
    assert not torch.equal(fresh.fine.classifier.weight, tiny.fine.classifier.weight)
    assert fresh.codec is tiny.codec


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


def test_failures_are_recorded(tiny: Model, songs: Path, tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(
        'excerpt_s = 1.0\nfigures = ["tokens"]\n[[conditions]]\nname = "beats"\nrequest.prompt.beats = true\n'
    )
    silence = songs / "3.wav"
    sf.write(silence, np.zeros(44100), 44100)
    trial = Trial(tiny, read_experiment(path), choose_excerpts([silence], 1.0, 1))
    (found,) = trial.records(set())
    assert "no beat" in found["failed"]


def test_incomplete_line_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"condition": "a", "excerpt": 0}\n{"condition": "a", "exc')
    assert len(read_records(path)) == 1
    again = {"condition": "a", "excerpt": 1}
    assert list(append_records(path, [again])) == [again]
    assert done(read_records(path)) == {("a", 0), ("a", 1)}
    assert read_records(tmp_path / "none") == []


def test_reference_records_resume(songs: Path) -> None:
    places = choose_excerpts([songs / "2.wav"], 1.0, 2)
    found = list(reference_records(places, 22050, {(REFERENCE, 0)}))
    assert [(record["condition"], record["excerpt"]) for record in found] == [(REFERENCE, 1)]


def test_run_writes_tables_and_plots_and_resumes(
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
