"""Experiments: read, swept, carried out, gone on with, summed up."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import Ran
from test_evaluate_musicnn import small_weights
from vampcli.engine import Model
from vampcli.errors import InputError, UsageError
from vampcli.evaluate import figures
from vampcli.evaluate.excerpts import cut, spread_over
from vampcli.evaluate.experiment import Condition, read_experiment
from vampcli.evaluate.musicnn import frechet_distance
from vampcli.evaluate.summary import DISTANCE, summarised
from vampcli.evaluate.trial import ORIGINAL, REFERENCE, Record, Trial, read_records, reference_records

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
    monkeypatch.setattr(figures, "_weights", lambda: small_weights(96))


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


@pytest.mark.usefixtures("small", "two_threads")
def test_a_trial_gives_the_same_records_in_parts_and_at_once(tiny: Model, toml: Path, songs: Path) -> None:
    places = spread_over(sorted(songs.iterdir()), 1.0, 3)
    trial = Trial(tiny, read_experiment(toml), places)
    records = list(trial.records(set()))
    assert len(records) == trial.n_records == 3 * 4
    assert [record["excerpt"] for record in records] == sorted(record["excerpt"] for record in records)
    keys = [(record["condition"], record["excerpt"]) for record in records]
    again = list(trial.records(set(keys[:5])))
    assert again == records[5:]
    steps = [record for record in records if '"n_steps": 1' in record["condition"]]
    assert all(len(record["takes"]) == 2 and record["diversity"] > 0 for record in steps)
    codec = next(record for record in records if record["condition"].startswith('["codec"'))
    assert codec["takes"][0]["token_accuracy"] is None  # nothing was made
    assert codec["takes"][0]["level_db"] == pytest.approx(0, abs=0.01)


@pytest.mark.usefixtures("small")
def test_silenced_spans_are_not_heard(tiny: Model, songs: Path, tmp_path: Path) -> None:
    """The same tokens come of two excerpts that differ in the span alone."""
    condition = Condition("x", "inpaint", {"places": {"spans": [[0.4, 0.6]]}}, {"n_steps": 1}, silenced=True)
    path = tmp_path / "e.toml"
    path.write_text('excerpt_s = 1.0\nfigures = ["tokens"]\n[[conditions]]\nname = "x"\n')
    trial = Trial(tiny, read_experiment(path), spread_over([songs / "0.wav"], 1.0, 1))
    (_, audio), *_ = cut(trial.places, 44100, {0})
    changed = audio.samples.copy()
    changed[:, 20000:24000] *= -0.3
    takes = [
        trial._takes(tiny, condition, trial._original(type(audio)(samples, 44100)), range(1))[0]
        for samples in (audio.samples, changed)
    ]
    assert np.array_equal(takes[0].audio.samples[:, 18000:26000], takes[1].audio.samples[:, 18000:26000])


def record(condition: str, piece: str, value: float, embeddings: list[list[float]]) -> Record:
    return {
        "condition": condition,
        "excerpt": 0,
        "piece": piece,
        "takes": [{"mel_error": value, "embedding": embeddings}],
        "diversity": None,
    }


def test_means_and_distances_have_intervals_over_recordings() -> None:
    rng, condition = np.random.default_rng(0), Condition("a")
    patches = {name: rng.normal(shift, 1, (40, 3)) for name, shift in (("made", 1), ("real", 0), ("other", 0))}
    names = {"made": condition.key, "real": ORIGINAL, "other": REFERENCE}
    records = [
        record(names[kind], f"piece {i % 4}", float(i), [list(map(float, patch))])
        for kind, stack in patches.items()
        for i, patch in enumerate(stack)
    ]
    floor, made = summarised(records, [condition])
    assert (floor.label, made.label) == (ORIGINAL, "a")
    assert made.figures["mel_error"].value == pytest.approx(19.5)
    means = [float(np.mean(range(i, 40, 4))) for i in range(4)]
    assert made.figures["mel_error"].error == pytest.approx(1.96 * np.std(means) / 2, rel=0.25)
    assert made.figures[DISTANCE].value == pytest.approx(frechet_distance(patches["other"], patches["made"]))
    assert floor.figures[DISTANCE].value < 1 < made.figures[DISTANCE].value
    assert "diversity" not in made.figures


def test_a_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"condition": "a", "excerpt": 0}\n{"condition": "a", "exc')
    assert len(read_records(path)) == 1
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
    written = [Path(line).name for line in ran.out.splitlines()]
    assert written == ["table.csv", "table.json", "steps.png", "steps.svg", "codec.png", "codec.svg"]
    assert all((out / name).stat().st_size > 0 for name in written)
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["condition"] for row in rows] == [ORIGINAL, "steps: n_steps 1", "steps: n_steps 2", "codec"]
    assert "steps: n_steps 2" in ran.err
    records = (out / "records.jsonl").read_text()
    (out / "records.jsonl").write_text(records[: len(records) // 2])
    again = vamp(*how, "--reference", songs / "1.wav", "--reference", songs / "2.wav")
    assert again.code == 0, again.err
    assert [json.loads(line) for line in sorted(records.splitlines())] == [
        json.loads(line)
        for line in sorted((out / "records.jsonl").read_text().splitlines())
        if line.endswith("}") and line in records
    ]
    other = vamp(*how, "-n", 2)
    assert other.code == 3
    assert "holds records of another run" in other.err
