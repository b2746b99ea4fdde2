"""What results carry beside their sound, from the command line and the API."""

import json
from pathlib import Path

import pytest

import tagged
from conftest import Song, Vamp
from tagged import CHUNKS, INFO, PICTURE, acid, bext, cue, smpl
from vampcli.api import Model
from vampcli.audio import riff
from vampcli.audio.metadata import wav
from vampcli.audio.metadata.base import Block
from vampcli.audio.read import read, read_metadata
from vampcli.config import MusicalSpan
from vampcli.recipe.embed import recipe_of
from vampcli.tasks.recording import Recording


@pytest.fixture
def source(song: Song) -> Path:
    """Two seconds of music with all kinds of chunks, at 120 bpm."""
    path = song(seconds=2)
    wav.write(path, CHUNKS)
    return path


def found(path: Path, name: bytes) -> list[bytes]:
    return [block.content for block in wav.read(path, "") if block.name == name]


@pytest.mark.parametrize("options", [("inpaint", "--span", "0.5-0.8"), ("vamp", "--period", "3"), ("compress",)])
def test_chunks_stay_where_time_stays(quick: Vamp, source: Path, options: tuple[str, ...]) -> None:
    ran = quick(options[0], source, *options[1:], "-n", 2)
    assert ran.code == 0
    assert "without" not in ran.err
    for line in ran.out.splitlines():
        assert set(CHUNKS) < set(wav.read(Path(line), ""))
        assert recipe_of(Path(line)) is not None


def test_chunks_move_with_time(quick: Vamp, source: Path) -> None:
    longer = quick("outpaint", source, "--before", "0.5").path
    assert found(longer, b"bext") == [bext(48000 * 60 - 22050)]
    assert found(longer, b"cue ") == [cue((1, 44100), (2, 66150))]
    assert found(longer, b"acid") == [acid(5)]
    ran = quick("loop", source, "--span", "0.25-1.25", "-n", 2)
    assert ran.err.count("song.wav: the time line changes: the result is without all or part of") == 1
    loop = Path(ran.out.splitlines()[0])
    assert found(loop, b"cue ") == [cue((1, 11025), (2, 33075))]
    assert found(loop, b"smpl") == [smpl((0, 44100))]
    assert found(loop, b"LIST")[1] == INFO


@pytest.mark.parametrize(
    "options", [("vamp", "--stretch", "2"), ("inpaint", "--span", "0.5-0.8", "--only-generated", "--memory", "off")]
)
def test_scattered_sound_keeps_no_time(quick: Vamp, source: Path, options: tuple[str, ...]) -> None:
    result = quick(options[0], source, *options[1:]).path
    assert found(result, b"bext") == found(result, b"cue ") == found(result, b"acid") == []
    assert found(result, b"LIST")[0] == INFO


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_art_stays(quick: Vamp, tmp_path: Path, name: str) -> None:
    path = tagged.tagged(tmp_path / name)
    tags = read_metadata(quick("inpaint", path, "--span", "0.3-0.6").path).tags()
    assert tags.pictures == (PICTURE,)
    assert tags.get("COMMENT") == "mine"


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".aiff"])
def test_loops_say_so_in_every_container(quick: Vamp, vamp: Vamp, song: Song, suffix: str) -> None:
    result = quick("loop", song(), "--span", "0.5-1.5", "-o", song().with_name(f"x{suffix}")).path
    assert read_metadata(result).loop() == (0, 44100)
    assert vamp("info", result, "--quick", "--json").facts[0]["loop_s"] == [0, 1]


def test_no_metadata(quick: Vamp, vamp: Vamp, source: Path) -> None:
    result = quick("inpaint", source, "--span", "0.5-0.8", "--no-metadata", "--sidecar").path
    assert wav.read(result, "") == ()
    assert b"vamp_recipe" not in result.read_bytes()
    assert json.loads(result.with_name(f"{result.name}.json").read_text())["vamp_recipe"]["seed"] == 3
    assert json.loads(vamp("replay", result, "--json").out)["identical"]


def test_token_files_without_metadata_give_the_same_sound(quick: Vamp, vamp: Vamp, source: Path) -> None:
    whole, bare = source.with_name("whole.vamp"), source.with_name("bare.vamp")
    made = quick("compress", source, "-o", whole)
    quick("compress", source, "--no-metadata", "-o", bare)
    assert bare.stat().st_size < whole.stat().st_size
    facts = vamp("info", bare, whole, "--json").facts
    assert [one["recipe"]["source"]["sha256"] == "" for one in facts] == [True, False]
    assert [one["recipe"]["source"]["name"] for one in facts] == ["", str(source)]
    rate = whole.stat().st_size * 8 / facts[1]["duration_s"]
    assert facts[1]["file_bits_per_second"] == pytest.approx(rate)
    assert f"{whole.stat().st_size} bytes, {rate:.0f} bit/s in all" in made.err
    model = facts[0]["recipe"]["made_by"]["model"]
    sounds = [read(vamp("compress", path, "-m", model, "-o", path.with_suffix(".wav")).path) for path in (whole, bare)]
    assert (sounds[0].samples == sounds[1].samples).all()
    assert "left out" in vamp("info", bare).out
    assert vamp("replay", bare, "--input", source, "--json").facts[0]["identical"]


def test_recipe_of_the_input_is_replaced(quick: Vamp, source: Path) -> None:
    first = quick("inpaint", source, "--span", "0.5-0.8").path
    second = quick("inpaint", first, "--span", "1-1.2", "-o", source.with_name("2.wav")).path
    assert second.read_bytes().count(b'{"vamp_recipe"') == 1
    recipe = recipe_of(second)
    assert recipe is not None
    assert len(recipe.earlier) == 1
    assert set(CHUNKS) < set(wav.read(second, ""))


# --- tempo


def test_the_tempo_of_the_file_counts_bars(quick: Vamp, vamp: Vamp, song: Song) -> None:
    path = song(seconds=3)
    wav.write(path, (Block(b"acid", acid(6, 100.0)),))
    ran = quick("inpaint", path, "--span", "beats:2", "--memory", "off", "--sidecar")
    assert "song.wav: bars and beats are counted at 100 bpm of its acid chunk, from the beginning" in ran.err
    recipe = recipe_of(ran.path)
    assert recipe is not None
    assert recipe.synthetic == ((round(0.6 * 44100), round(1.2 * 44100)),)
    assert recipe.request["at"]["tempo"]["bpm"] == 100
    wav.write(path, (Block(b"LIST", INFO),))  # the recipe holds the tempo: other chunks do not matter
    again = vamp("replay", ran.path, "--json")
    assert json.loads(again.out)["identical"]
    assert "acid" not in again.err


def test_a_named_tempo_is_stronger(quick: Vamp, song: Song) -> None:
    path = song(seconds=3)
    wav.write(path, (Block(b"acid", acid(6, 100.0)),))
    requests = {}
    for bpm in ("150", "track"):
        ran = quick("inpaint", path, "--span", "beats:2", "--bpm", bpm, "--memory", "off", "--overwrite")
        assert "acid" not in ran.err
        recipe = recipe_of(ran.path)
        assert recipe is not None
        requests[bpm] = recipe.request["at"]["tempo"]["bpm"]
    assert requests == {"150": 150, "track": None}
    quick("inpaint", path, "--span", "1-2", "--bpm", "fast").refuses(2, "--bpm is 'fast'", "track")


def test_seconds_need_no_tempo(quick: Vamp, song: Song) -> None:
    path = song()
    wav.write(path, (Block(b"acid", acid(6, 100.0)),))
    ran = quick("inpaint", path, "--span", "1-1.5", "--memory", "off")
    recipe = recipe_of(ran.path)
    assert recipe is not None
    assert recipe.request["at"]["tempo"]["bpm"] is None


def test_takes_of_the_api(tiny: Model, source: Path, tmp_path: Path) -> None:
    (take,) = tiny.inpaint(source, [MusicalSpan("beats", 2, 2)], seed=3)
    take.write(tmp_path / "x.wav")
    assert set(CHUNKS) < set(wav.read(tmp_path / "x.wav", ""))
    assert take.spans == ((22050, 44100),)
    (plain,) = tiny.inpaint(Recording.of(source).clip, [(0.5, 1)], seed=3)
    plain.write(tmp_path / "y.wav")
    assert [block.name for block in wav.read(tmp_path / "y.wav", "")] == [b"LIST"]


def test_info_names_damage_once(vamp: Vamp, song: Song) -> None:
    path = song(seconds=1)
    riff.append(path, b"id3 ", b"ID3 is not this")
    assert vamp("info", path, "--quick").err.count("id3 is damaged") == 1
