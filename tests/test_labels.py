"""`--labels` writes what `--spans-from` reads: the generated spans, to the sample."""

from pathlib import Path

import numpy as np
import pytest

from conftest import Song, Vamp
from vampcli.audio.markers import labels_text, read_spans
from vampcli.audio.read import read
from vampcli.recipe.embed import recipe_of

TAKES = [
    ("inpaint", ("--span", "0.333333-0.47", "--span", "0.7-0.80001")),
    ("outpaint", ("--after", "0.3", "--before", "0.21")),
    ("loop", ("--span", "0.1-0.9", "--repeats", 2, "--seam", "0.1")),
    ("vamp", ("--span", "0.2-0.6", "--period", 3)),
    ("vamp", ("--stretch", 2)),
    ("inpaint", ("--span", "0.2-0.3", "--span", "0.6-0.7", "--only-generated")),
    ("inpaint", ("--span", "0.4-0.5", "--preview")),
    ("compress", ("--period", 3)),
]


@pytest.mark.parametrize(("command", "options"), TAKES)
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_labels_are_the_generated_spans(
    quick: Vamp, song: Song, tmp_path: Path, command: str, options: tuple[object, ...], suffix: str
) -> None:
    labels = tmp_path / f"new/made{suffix}"
    ran = quick(command, song(seconds=1), *options, "-n", 2, "-o", f"{tmp_path}/o/", "--labels", labels, "--json")
    assert ran.code == 0, ran.err
    assert f"{labels}: labels of the generated spans" in ran.err
    assert [facts["labels"] for facts in ran.facts] == [str(labels)] * 2
    recipe = recipe_of(Path(ran.facts[0]["output"]))
    assert recipe
    found = [(round(44100 * one.start_s), round(44100 * one.end_s)) for one in read_spans(labels)]
    assert tuple(found) == recipe.synthetic
    assert len(read_spans(labels, [f"vamp {command}"])) == len(found)


def test_spans_from_labels_make_the_same_take(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source, labels = song(seconds=1), tmp_path / "made.txt"
    spans = ("--span", "0.333333-0.47", "--span", "0.7-0.80001")
    first = quick("inpaint", source, *spans, "-o", tmp_path / "a.wav", "--seed", 4, "--labels", labels)
    again = quick("inpaint", source, "--spans-from", labels, "-o", tmp_path / "b.wav", "--seed", 4)
    assert (first.code, again.code) == (0, 0)
    recipes = recipe_of(tmp_path / "a.wav"), recipe_of(tmp_path / "b.wav")
    assert recipes[0]
    assert recipes[1]
    assert recipes[0].synthetic == recipes[1].synthetic
    assert np.array_equal(read(tmp_path / "a.wav").samples, read(tmp_path / "b.wav").samples)


def test_labels_of_several_recordings(quick: Vamp, song: Song, tmp_path: Path) -> None:
    sources = [song(f"{name}.wav", seconds=1) for name in "ab"]
    ran = quick("vamp", *sources, "--labels", f"{tmp_path}/labels/", "-o", f"{tmp_path}/o/", "--seed", 3)
    assert ran.code == 0
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == ["a.vamp.3.txt", "b.vamp.3.txt"]
    quick("vamp", *sources, "--labels", tmp_path / "x.txt").refuses(2, "may be several", "--labels labels/")


def test_nothing_is_written_when_labels_cannot_be(quick: Vamp, song: Song, tmp_path: Path) -> None:
    source = song(seconds=1)
    (labels := tmp_path / "x.txt").write_text("mine")
    files = sorted(tmp_path.iterdir())
    quick("vamp", source, "--labels", labels).refuses(3, f"{labels} exists")
    quick("vamp", source, "--labels", tmp_path / "x.wav").refuses(2, "no name of labels", ".csv")
    quick("vamp", source, "--labels", labels, "--skip-existing").refuses(2, "--labels cannot be combined")
    quick("compress", source, "--labels", labels, "-o", tmp_path / "x.vamp").refuses(2, "leave --labels out")
    assert quick("vamp", source, "--labels", tmp_path / "y.txt", "--dry-run").code == 0
    assert (sorted(tmp_path.iterdir()), labels.read_text()) == (files, "mine")
    assert quick("vamp", source, "--labels", labels, "--overwrite").code == 0
    assert len(read_spans(labels)) == 1


def test_a_loop_without_a_model_has_no_labels(quick: Vamp, song: Song, tmp_path: Path) -> None:
    ran = quick("loop", song(seconds=1), "--seam", 0, "--labels", tmp_path / "x.txt", "-o", tmp_path / "x.wav")
    assert (ran.code, "there are no labels" in ran.err) == (0, True)
    assert not (tmp_path / "x.txt").exists()


def test_text_of_label_files() -> None:
    spans = [(2.15, 3.4), (3659.9999996, 3661.25)]
    assert labels_text(spans, "vamp loop", ".txt").splitlines()[0] == "2.150000\t3.400000\tvamp loop"
    assert labels_text(spans, "vamp loop", ".CSV").splitlines() == [
        "#,Name,Start,End,Length",
        "R1,vamp loop,0:02.150000,0:03.400000,0:01.250000",
        "R2,vamp loop,61:00.000000,61:01.250000,0:01.250000",
    ]
