"""Experiments: TOML, excerpts, conditions, records, and the command."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from conftest import Song, Vamp, music
from vampcli import Waveform
from vampcli.api import Model
from vampcli.errors import InputError, UsageError
from vampcli.evaluate.excerpts import choose_excerpts, cut_excerpts
from vampcli.evaluate.measures import EMBEDDING, Original, embed_patches, embedding, seams, sound
from vampcli.evaluate.run import (
    REFERENCE,
    Trial,
    append_records,
    done,
    make_takes,
    randomize_transformers,
    read_records,
    reference_records,
)
from vampcli.evaluate.spec import Condition, read_experiment
from vampcli.model.batching import Batches

FILLS = ("silence", "repeat")
CONFIGS = Path(__file__).parents[1] / "configs/eval"

TOML = """
excerpt_s = 1.0
excerpts = 3
takes = 2
figures = ["sound", "tokens", "embedding"]

[[conditions]]
name = "steps"
request.prompt.period = 4
sampling.fine_steps = 1
sweep."sampling.steps" = [1, 2]

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
    found = read_experiment(toml, {"excerpts": 2})
    assert [condition.label for condition in found.conditions] == ["steps: steps 1", "steps: steps 2", "codec"]
    assert [condition.config.steps for condition in found.conditions] == [1, 2, 36]
    assert len({condition.key for condition in found.conditions}) == 3
    assert found.excerpts == 2
    assert found.seeds(3) == range(3000, 3002)


def test_sampling_of_condition_overrides_experiments(toml: Path) -> None:
    toml.write_text("sampling = { steps = 7, temperature = 0.5 }" + TOML)
    swept, _, codec = read_experiment(toml).conditions
    assert swept.sampling == {"steps": 1, "fine_steps": 1, "temperature": 0.5}
    assert codec.sampling == {"steps": 7, "temperature": 0.5}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_experiments_can_be_read(path: Path) -> None:
    assert len(read_experiment(path).conditions) >= 3


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (('name = "codec"', 'nam = "codec"'), "unknown key 'nam'"),
        (("steps", "n_stepz"), "n_stepz"),
        (("period = 4", "period = -4"), "period is -4"),
        (('command = "codec"', 'command = "hum"'), "no command 'hum'"),
        (("[1, 2]", "[1, 1]"), "there twice"),
        (("[1, 2]", "3"), "write a list"),
        (('"sampling.steps"', '"steps"'), "begin with request. or sampling."),
        (('["sound"', '["smell"'), "no figure 'smell'"),
        (("takes = 2", "takes = 0"), "takes is 0"),
        (("takes = 2", 'baseline = "step"'), "'step' is no condition"),
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


def test_excerpts_are_spread_without_overlap(songs: Path) -> None:
    files = sorted(songs.iterdir())
    excerpts = choose_excerpts(files, 1.0, 99)
    assert [excerpt.path.name for excerpt in excerpts] == ["0.wav", "0.wav", "2.wav", "2.wav", "2.wav"]
    assert excerpts[1].start_s - excerpts[0].start_s >= 1
    assert len(choose_excerpts(files, 1.0, 2)) == 2
    found = list(cut_excerpts(excerpts, 22050, {1, 4}))
    assert [excerpt.index for excerpt, _ in found] == [1, 4]
    assert all(audio.samples.shape == (1, 22050) for _, audio in found)
    with pytest.raises(InputError, match="none of 3 recordings is 9 s long"):
        choose_excerpts(files, 9.0, 2)


def test_resumed_and_parallel_runs_agree(tiny: Model, toml: Path, songs: Path) -> None:
    excerpts = choose_excerpts(sorted(songs.iterdir()), 1.0, 3)
    trial = Trial(replace(tiny, batches=Batches(1, 2)), read_experiment(toml), excerpts)
    records = list(trial.records(set()))
    assert records == list(Trial(tiny, trial.experiment, excerpts).records(set()))  # one after another
    assert len(records) == trial.n_records == 3 * 3
    assert all(len(record["original"]) == len(record["takes"][0]["embedding"]) for record in records)
    assert [record["excerpt"] for record in records] == sorted(record["excerpt"] for record in records)
    keys = [(record["condition"], record["excerpt"]) for record in records]
    again = list(trial.records(set(keys[:5])))
    assert again == records[5:]
    steps = [record for record in records if '"steps": 1' in record["condition"]]
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


SPAN = {"at": {"span": [[0.4, 0.6]]}, "margin": 0}


@pytest.mark.parametrize("silenced", [True, False])
def test_silenced_spans_leave_no_trace_in_tokens(tiny: Model, original: Original, silenced: bool) -> None:
    """Compare two excerpts that differ in the span alone."""
    condition = Condition("x", "inpaint", SPAN, {"steps": 1}, silenced=silenced)
    changed = original.audio.samples.copy()
    changed[:, round(0.4 * 44100) : round(0.6 * 44100)] = np.random.default_rng(0).uniform(-0.9, 0.9, 8820)
    both = (original, encode(tiny, replace(original.audio, samples=changed)))
    (a,), (b,) = (make_takes(tiny, condition, one, range(1)) for one in both)
    kept = ~a.mask
    assert torch.equal(a.tokens[0][kept], b.tokens[0][kept]) == silenced
    assert all(np.abs(take.base.samples[:, 20000:24000]).max() > 0 for take in (a, b))


@pytest.mark.parametrize(("start_s", "end_s"), [(0.4, 0.6), (0.2, 0.8), (0.0, 0.3)])
def test_spans_filled_without_a_model(tiny: Model, original: Original, start_s: float, end_s: float) -> None:
    request = {"at": {"span": [[start_s, end_s]]}}
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
    """A repetition continues itself exactly; silence is neither loud nor close."""
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
    path.write_text('{"condition": "a", "excerpt": 0, "takes": []}\n{"condition": "a", "exc')
    assert len(read_records(path)) == 1
    again = {"condition": "a", "excerpt": 1, "takes": []}
    assert list(append_records(path, [again])) == [again]
    assert done(read_records(path)) == {("a", 0), ("a", 1)}
    assert read_records(tmp_path / "none") == []


def test_reference_records_resume(songs: Path) -> None:
    excerpts = choose_excerpts([songs / "2.wav"], 1.0, 2)
    found = list(reference_records(excerpts, 22050, {(REFERENCE, 0)}))
    assert [(record["condition"], record["excerpt"]) for record in found] == [(REFERENCE, 1)]


def test_run_writes_plots_and_resumes(vamp: Vamp, tiny_folder: Path, toml: Path, songs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    how = ("eval", "run", toml, songs / "0.wav", songs / "2.wav", "-m", tiny_folder, "-o", out, "-d", "cpu")
    ran = vamp(*how, "--reference", songs / "1.wav", "--reference", songs / "2.wav")
    assert ran.code == 0, ran.err
    plots = ("conditions.png", "conditions.svg", "steps.png", "steps.svg")
    written = [Path(line).name for line in ran.out.splitlines()]
    assert "steps: steps 2" in ran.err
    assert written == ["table.json", "table.md", *plots]
    assert all((out / name).stat().st_size > 0 for name in written)
    rows = json.loads((out / "table.json").read_text())["rows"]
    assert [row["condition"] for row in rows] == ["steps: steps 1", "steps: steps 2", "codec"]
    assert all(row["figures"]["frechet_floor"]["value"] > 0 for row in rows)
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
