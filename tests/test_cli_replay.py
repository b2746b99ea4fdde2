"""Results are made again from their files alone, to the sample; synthetic spans add up."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from conftest import REQUESTS, Ran, Song, Vamp
from recipes import MADE_BY
from vampcli import read
from vampcli.audio.read import read_comment
from vampcli.audio.write import write
from vampcli.cli.commands.replay import ReplayWorkflow
from vampcli.cli.jobs.compare import differences
from vampcli.cli.jobs.job import ModelRequest
from vampcli.cli.options import Common
from vampcli.recipe.embed import beside, recipe_of
from vampcli.recipe.recipe import Recipe, from_text, to_text

Quick = Callable[..., Path]

MORE = {"inpaint": ("--margin", "2"), "loop": ("--variation", "0.5"), "vamp": ("--prefix", "0.1")}


@pytest.fixture
def quick(quick: Vamp) -> Quick:
    """The path of a take with few steps and seed 3."""
    return lambda *args: quick(*args).path


@pytest.fixture
def result(quick: Quick, song: Song) -> Path:
    """A second of music in tmp_path/song.wav, with 0.3 s of it re-made."""
    return quick("inpaint", song(seconds=1), "--span", "0.3-0.6", "--sidecar")


def replayed(ran: Ran) -> Path:
    """The path of a replay that equals the result."""
    assert ran.code == 0, ran.err
    facts = json.loads(ran.out)
    assert facts["identical"], ran.err
    return Path(facts["output"])


def recipe_in(path: Path) -> Recipe:
    found = recipe_of(path)
    assert found is not None
    return found


@pytest.mark.parametrize(("command", "suffix"), [*((name, ".wav") for name in REQUESTS), ("vamp", ".flac")])
def test_replay_equals_the_result(vamp: Vamp, quick: Quick, song: Song, command: str, suffix: str) -> None:
    source = song(n_channels=2, seconds=1, subtype="PCM_16")
    options = (*REQUESTS[command], *MORE.get(command, ()))
    result = quick(command, source, *options, "-o", source.with_name(f"made{suffix}"))
    again = replayed(vamp("replay", result, "--json"))
    assert again == source.with_name(f"made.replay{suffix}")
    one, two = read(result), read(again)
    assert (one.subtype, two.subtype) == ("PCM_16", "PCM_16")
    assert np.array_equal(one.samples, two.samples)
    assert recipe_in(again).request == recipe_in(result).request


@pytest.mark.parametrize(
    "options", ["--only-generated --temperature 0.5 --top-p 0.9", "--difference --float32", "--int24 --stereo channels"]
)
def test_replay_keeps_part_and_format(vamp: Vamp, quick: Quick, song: Song, options: str) -> None:
    result = quick("inpaint", song(n_channels=2, seconds=1), "--span", "0.3-0.6", *options.split())
    again = replayed(vamp("replay", result, "--json"))
    assert sf.info(again).subtype == sf.info(result).subtype


def test_token_files_are_replayed(vamp: Vamp, quick: Quick, song: Song, tiny_folder: Path, tmp_path: Path) -> None:
    packed, back = quick("compress", song(seconds=1), "--period", 2, "-o", tmp_path / "a.vamp"), tmp_path / "back.wav"
    assert replayed(vamp("replay", packed, "--json")).read_bytes() == packed.read_bytes()
    assert vamp("compress", packed, "-m", tiny_folder, "-o", back).code == 0
    replayed(vamp("replay", back, "--json"))
    refused = vamp("replay", back, "--set", "temperature=0.5", "--overwrite")  # the token file has its own sampling
    refused.refuses(2, "says already how it is made")
    assert recipe_in(vamp("replay", back, "--set", "seed=8", "--overwrite").path).seed == 8


def test_settings_equal_options(vamp: Vamp, quick: Quick, result: Path, tmp_path: Path) -> None:
    source, options = tmp_path / "song.wav", ("--span", "0.2-0.5", "--temperature", "0.5")
    wanted = quick("inpaint", source, *options, "-o", tmp_path / "wanted.wav")
    ran = vamp("replay", result, "--set", "temperature=0.5", "--set", "span=0.2-0.5", "-o", tmp_path / "again.wav")
    assert ran.code == 0, ran.err
    assert np.array_equal(read(tmp_path / "again.wav").samples, read(wanted).samples)
    assert recipe_in(tmp_path / "again.wav") == recipe_in(wanted)
    assert "same samples" not in ran.err


@pytest.mark.parametrize("after", ["2beats", "50%", "500ms"])
def test_lengths_in_all_units(vamp: Vamp, quick: Quick, song: Song, tmp_path: Path, after: str) -> None:
    result = quick("outpaint", source := song(seconds=1), "--after", "0.2")
    ran = vamp("replay", result, "--set", f"after={after}", "-o", tmp_path / "longer.wav")
    assert ran.code == 0, ran.err
    wanted = recipe_in(quick("outpaint", source, "--after", after, "--overwrite")).request
    assert recipe_in(tmp_path / "longer.wav").request == wanted


BAD_SETTINGS = [
    ("temperature", 2, "sets nothing"),
    ("temperatur=1", 2, "no setting 'temperatur'"),
    ("temperature=hot", 2, "temperature is 'hot'"),
    ("temperature=-1", 2, "temperature is -1"),
    ("steps=1.5", 2, "steps is 1.5"),
    ("repeats=2", 2, "no setting 'repeats'"),
    ("seed=none", 2, "seed is None"),
    ("span=0.3", 2, "not a span"),
    ("span=0.3-9", 3, "the span ends at 9 s"),
    ("synthetic=[]", 2, "no setting 'synthetic'"),
    ("sha256=0", 2, "no setting 'sha256'"),
    ("stereo=left", 2, "stereo is 'left'"),
    ("subtype=DOUBLE", 2, "subtype is 'DOUBLE'"),
    ("bpm=NaN", 2, "bpm is nan"),
    ("spans=none", 2, "no span"),
    ("start=0.2", 2, "snap"),
]


def test_bad_settings(vamp: Vamp, result: Path) -> None:
    for setting, code, says in BAD_SETTINGS:
        vamp("replay", result, "--set", setting).refuses(code, says)
    assert not result.with_name(f"{result.stem}.replay.wav").exists()


def test_moved_input_is_found_or_named(vamp: Vamp, quick: Quick, song: Song, tmp_path: Path) -> None:
    source = song(seconds=1)
    result = quick("inpaint", source, "--span", "0.3-0.6", "-o", tmp_path / "made/a.wav")
    source.rename(tmp_path / "made/song.wav")
    assert vamp("replay", result, "--overwrite").code == 0
    samples, rate = sf.read(tmp_path / "made/song.wav")
    (tmp_path / "made/song.wav").unlink()
    sf.write(moved := tmp_path / "other.flac", samples, rate)  # another container
    vamp("replay", result, "--overwrite").refuses(3, "song.wav", "--input")
    replayed(vamp("replay", result, "--overwrite", "--input", moved, "--json"))


def test_refused_inputs(vamp: Vamp, result: Path, song: Song) -> None:
    song(seconds=1, seed=5)
    vamp("replay", result).refuses(3, "its sound is another")
    vamp("replay", song()).refuses(3, "does not say how it was made")
    vamp("replay", "-").refuses(2, "from its file")


def test_sidecar_replaces_lost_metadata(vamp: Vamp, result: Path) -> None:
    known, clip = recipe_in(result), read(result)
    write(result, clip, overwrite=True)  # as another program does
    assert read_comment(result) == ""
    assert recipe_in(result) == known
    for named in (result, beside(result)):
        replayed(vamp("replay", named, "--json", "--overwrite"))


def test_recipe_changed_by_hand_is_refused(vamp: Vamp, result: Path) -> None:
    text = beside(result).read_text()
    write(result, read(result), overwrite=True, comment=text.replace('"seed": 3', '"seed": 4'))
    for command, *options in (("replay",), ("info", "--quick"), ("inpaint", "--span", "0.1-0.2")):
        ran = vamp(command, result, *options)
        assert (ran.code, "changed by hand" in ran.err) == (3, True)


def test_other_version_is_noted(vamp: Vamp, result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vampcli.api.__version__", "9.9")
    ran = vamp("replay", result)
    assert ran.path.exists()
    assert "another version of vamp: 0.1.0 then, 9.9 now: the samples may differ" in ran.err


def test_other_samples_are_noted(vamp: Vamp, result: Path) -> None:
    text, clip = read_comment(result), read(result)
    clip.samples[0, 20_000] += 0.25
    write(result, clip, overwrite=True, comment=text)
    ran = vamp("replay", result, "--json")
    assert json.loads(ran.out)["identical"] is False
    assert "1 of 44100 samples differ" in ran.err
    assert "-12 dBFS" in ran.err


def test_several_results_are_replayed(vamp: Vamp, quick: Quick, song: Song, tmp_path: Path) -> None:
    results = [quick("vamp", song(f"{n}.wav", seconds=0.5), "--period", 3) for n in "ab"]
    ran = vamp("replay", *results, "-o", f"{tmp_path}/again/", "--json")
    assert [json.loads(line)["identical"] for line in ran.out.splitlines()] == [True, True], ran.err


@pytest.mark.parametrize("named", [False, True])
def test_input_is_never_overwritten(vamp: Vamp, quick: Quick, song: Song, named: bool) -> None:
    source = song(seconds=1)
    before, result = source.read_bytes(), quick("inpaint", source, "--span", "0.3-0.6")
    ran = vamp("replay", result, "-o", source, "--overwrite", *(("--input", source) if named else ()))
    ran.refuses(3, "is the input")
    assert source.read_bytes() == before


def test_originals_in_folders_are_skipped(vamp: Vamp, quick: Quick, song: Song, tmp_path: Path) -> None:
    """So are results of a replay."""
    quick("inpaint", song(seconds=1), "--span", "0.3-0.6")
    song("other.wav", seconds=1)
    for _ in range(2):
        ran = vamp("replay", tmp_path, "--json", "--overwrite")
        assert [json.loads(line)["identical"] for line in ran.out.splitlines()] == [True], ran.err
    ran = vamp("replay", tmp_path / "other.wav", tmp_path / "song.inpaint.3.wav", "--overwrite", "--json")
    assert ran.code == 3
    assert [json.loads(line).get("identical") for line in ran.out.splitlines()] == [None, True]
    (tmp_path / "plain").mkdir()
    song("plain/x.wav")
    assert vamp("replay", tmp_path / "plain").code == 3


def test_other_file_with_the_same_name(
    vamp: Vamp, quick: Quick, song: Song, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    song("elsewhere/song.wav", seconds=1, seed=9)
    song(seconds=1)
    monkeypatch.chdir(tmp_path)
    result = quick("inpaint", "song.wav", "--span", "0.3-0.6")
    monkeypatch.chdir(tmp_path / "elsewhere")
    replayed(vamp("replay", f"../{result}", "--json"))


def test_sidecar_names_results(vamp: Vamp, result: Path, tmp_path: Path) -> None:
    assert vamp("replay", beside(result)).out.strip() == str(tmp_path / "song.inpaint.3.replay.wav")
    renamed = beside(result).rename(tmp_path / "kept.json")
    assert vamp("replay", renamed).out.strip() == str(tmp_path / "kept.replay.wav")


# --- new takes


def test_new_takes_equal_takes_of_the_command(vamp: Vamp, quick: Quick, song: Song, tmp_path: Path) -> None:
    """Names and recipes are those of the command, which searches places for each seed, too."""
    source = song(seconds=2)
    options = ("--span", "0.3-0.6", "--memory", "1")
    result = quick("inpaint", source, *options)
    ran = vamp("replay", result, "-n", 2, "--json")
    assert [Path(one["output"]).name for one in ran.facts] == ["song.inpaint.4.wav", "song.inpaint.5.wav"], ran.err
    assert "no exact replay, but 2 new takes (seeds 4 to 5) with the settings of the recipe" in ran.err
    assert not any("identical" in one for one in ran.facts)
    for seed in (4, 5):
        wanted = quick("inpaint", source, *options, "--seed", seed, "-o", tmp_path / f"wanted{seed}.wav")
        made = tmp_path / f"song.inpaint.{seed}.wav"
        assert np.array_equal(read(made).samples, read(wanted).samples)
        assert recipe_in(made) == recipe_in(wanted)
    again = vamp("replay", tmp_path / "song.inpaint.5.wav", "--json")
    assert again.facts[0]["identical"], again.err


def test_names_of_new_takes(vamp: Vamp, result: Path, tmp_path: Path) -> None:
    renamed = result.rename(tmp_path / "kept {a}.wav")
    for options, name in (
        (("--seed", 9), "kept {a}.inpaint.9.wav"),
        (("-n", 1), "kept {a}.inpaint.4.wav"),
        (("--seed", -2, "-o", tmp_path / "made/"), "made/kept {a}.inpaint.-2.wav"),
        (("--seed", 9, "--name", "new.{seed}.{ext}"), "new.9.wav"),
        (("--seed", 9, "-o", tmp_path / "one.flac"), "one.flac"),
    ):
        ran = vamp("replay", renamed, *options, "--dry-run")
        assert ran.path == tmp_path / name
        assert "no exact replay, but a new take (seed" in ran.err
    replayed = renamed.rename(tmp_path / "song.inpaint.3.replay.wav")
    assert vamp("replay", replayed, "--seed", 9, "--dry-run").path == tmp_path / "song.inpaint.9.wav"


def test_refused_new_takes(vamp: Vamp, quick: Quick, result: Path, song: Song, tmp_path: Path) -> None:
    vamp("replay", result, "-n", 2, "--set", "seed=8").refuses(2, "--set names a seed")
    vamp("replay", result, "-n", 0).refuses(2, "0 takes")
    vamp("replay", result, "-n", 2, "-o", tmp_path / "a.wav").refuses(2, "one file", "2 takes")
    vamp("replay", result, "--seed", 3).refuses(3, f"{result} is the input")
    packed = quick("compress", song("b.wav", seconds=0.5), "-o", tmp_path / "b.vamp")
    vamp("replay", packed, "-n", 2).refuses(2, "would be the same for each of 2 takes")
    assert recipe_in(vamp("replay", packed, "--seed", 8).path).seed == 8


# --- what is synthetic


def test_synthetic_spans_add_up(quick: Quick, song: Song, tmp_path: Path) -> None:
    first = quick("inpaint", song(seconds=1, rate=1000 * 44), "--span", "0.3-0.6", "-o", tmp_path / "1.wav")
    assert recipe_in(first).synthetic == ((13200, 26400),)
    second = quick("inpaint", first, "--span", "0.5-0.75", "--span", "0.9-1", "-o", tmp_path / "2.flac")
    assert recipe_in(second).synthetic == ((13200, 33000), (39600, 44000))
    third = quick("outpaint", second, "--before", "0.25", "-o", tmp_path / "3.wav")
    assert recipe_in(third).synthetic == ((0, 11000), (24200, 44000), (50600, 55000))
    assert [r.command for r in recipe_in(third).earlier] == ["inpaint", "inpaint"]
    looped = quick("loop", third, "--span", "0.25-0.75", "--repeats", 2, "--seam", "0.05", "-o", tmp_path / "4.wav")
    seams = ((0, 1100), (13200, 23100), (35200, 44000))
    assert recipe_in(looped).synthetic == seams
    all_of_it = quick("vamp", looped, "--period", 3, "-o", tmp_path / "5.wav")
    assert recipe_in(all_of_it).synthetic == ((0, 44000),)


def test_parts_and_cuts(quick: Quick, song: Song, tmp_path: Path) -> None:
    part = quick("inpaint", song(seconds=1), "--span", "0.3-0.6", "--only-generated", "-o", tmp_path / "1.wav")
    assert recipe_in(part).synthetic == ((0, 13230),)
    clip = read(part)
    write(part, type(clip)(clip.samples[:, :9000], 44100, clip.subtype), overwrite=True, comment=read_comment(part))
    again = quick("outpaint", part, "--after", "0.1", "-o", tmp_path / "2.wav")
    assert recipe_in(again).synthetic == ((0, 9000 + 4410),)  # what was cut off is unknown: all counts


def test_licences_of_all_edits_stay(quick: Quick, vamp: Vamp, song: Song, tmp_path: Path) -> None:
    first = quick("inpaint", song(seconds=1), "--span", "0.3-0.6")
    second = quick("inpaint", first, "--span", "0.1-0.2", "-o", tmp_path / "2.wav")
    assert recipe_in(second).licences == ["MIT"]
    page = vamp("info", second, "--quick").out
    precision = recipe_in(second).made_by.dtype
    for words in ("vamp inpaint, seed 3", "0.100-0.200, 0.300-0.600 s, 40.0 %", "MIT", f"cpu, {precision}", "before"):
        assert words in page, page


def test_recipe_lacks_the_result_path(quick: Quick, song: Song) -> None:
    """No path of the result is in its recipe."""
    text = read_comment(quick("inpaint", song(seconds=1), "--span", "0.3-0.6", "-o", "x.wav"))
    assert "x.wav" not in text
    recipe = from_text(text, "x.wav")
    assert recipe is not None
    assert to_text(recipe) == text


def test_batches_and_compilation_are_noted() -> None:
    batched, compiled = replace(MADE_BY, exact=False), replace(MADE_BY, compile=True)
    assert differences(MADE_BY, MADE_BY) == []
    assert differences(batched, batched) == ["made in batches, without --exact"]
    assert differences(compiled, MADE_BY) == ["compile: True then, False now"]
    assert ReplayWorkflow("replay", Common(), (), None, None)._wanted(compiled) == ModelRequest(
        MADE_BY.model, "cpu", "fp32", exact=True, compile=True
    )


def test_model_of_a_folder_is_noted(vamp: Vamp, result: Path, tiny_folder: Path, tmp_path: Path) -> None:
    noted = f"song.inpaint.3.wav: its recipe names a model by its folder, which is loaded: {tiny_folder}"
    assert noted in vamp("replay", result, "-o", tmp_path / "a.wav").err.splitlines()
    assert noted not in vamp("replay", result, "-o", tmp_path / "b.wav", "-m", tiny_folder).err.splitlines()


def test_device_in_a_recipe_is_refused(vamp: Vamp, result: Path, tmp_path: Path) -> None:
    recipe = recipe_in(result)
    for file, says in (("/dev/zero", "names the recording /dev/zero, which is no file"), ("", "")):
        request = recipe.request | {"memory": recipe.request["memory"] | {"memory_from": [file] if file else []}}
        (tmp_path / "song.inpaint.3.wav.json").write_text(to_text(replace(recipe, request=request)))
        ran = vamp("replay", tmp_path / "song.inpaint.3.wav.json", "-o", tmp_path / "again.wav")
        assert (ran.code, says in ran.err) == (3 if file else 0, True)
