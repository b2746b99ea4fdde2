"""`--preview`: few steps, an excerpt, and a recipe that makes the same excerpt again."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import Song, Vamp, loop_points
from test_cli_replay import recipe_in
from vampcli import Waveform, read
from vampcli.audio.ranges import merge_ranges
from vampcli.cli.jobs.excerpt import inside, preview_name, shorten, timeline
from vampcli.config import PromptConfig
from vampcli.tasks.base import Task
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.recording import Recording
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.vamp import Vamp as Vary

RATE = 44100

# Options, seconds of the recording, seconds [start, end) of the whole take that the preview holds.
PREVIEWS = [
    ("inpaint --span 3-3.5", 7, [(1, 5.5)]),
    ("inpaint --span 1-1.5 --span 6.5-7", 9, [(0, 3.5), (4.5, 9)]),
    ("outpaint --after 0.5", 3, [(1, 3.5)]),
    ("outpaint --before 0.5", 3, [(0, 2.5)]),
    ("loop --span 0.5-1.5 --repeats 2 --seam 0.2", 3, [(0, 2)]),
    ("vamp --period 3 --span 4-5", 8, [(2, 7)]),
    ("vamp --period 3", 3, [(0, 3)]),
]


@pytest.mark.parametrize(("line", "seconds", "held_s"), PREVIEWS)
def test_preview_is_an_excerpt(
    quick: Vamp, vamp: Vamp, song: Song, tmp_path: Path, line: str, seconds: float, held_s: list[tuple[float, float]]
) -> None:
    command, *options = line.split()
    source = song(seconds=seconds)
    made = quick(command, source, *options, "--preview", "--json")
    path = Path(made.facts[0]["output"])
    assert path == tmp_path / f"song.{command}.preview.3.wav"
    assert made.facts[0]["preview_s"] == [list(one) for one in held_s]
    whole = quick(command, source, *options, "-o", tmp_path / "whole.wav").path
    pieces = [(round(a * RATE), round(b * RATE)) for a, b in held_s]
    kept = [read(whole).samples[:, a:b] for a, b in pieces]
    assert np.array_equal(read(path).samples, np.concatenate(kept, 1))
    recipe = recipe_in(path)
    assert (recipe.part, recipe.n_samples) == ("preview", sum(b - a for a, b in pieces))
    assert recipe.synthetic == inside(recipe_in(whole).synthetic, pieces)
    again = vamp("replay", path, "--json")
    assert again.facts[0]["identical"], again.err
    assert recipe_in(Path(again.facts[0]["output"])).part == "preview"


def test_preview_has_few_steps(vamp: Vamp, song: Song, tiny_folder: Path) -> None:
    source, shared = song(seconds=1), ("--span", "0.3-0.6", "--preview", "-m", tiny_folder, "--print-config", "--json")
    for options, steps in (((), (4, 1)), (("--steps", 9), (9, 1)), (("--sampling", "paper"), (4, 1))):
        found = json.loads(vamp("inpaint", source, *shared, *options).out)
        assert (found["steps"]["value"], found["fine-steps"]["value"]) == steps
    found = json.loads(vamp("inpaint", source, *shared, "--no-preview").out)
    assert found["steps"]["source"] == "default"


def test_names_of_previews(vamp: Vamp, quick: Vamp, song: Song, no_model: None, tmp_path: Path) -> None:
    source, shared = song(seconds=1), ("--span", "0.3-0.6", "--preview", "--dry-run")
    ran = quick("inpaint", source, *shared, "-n", 2)
    assert [Path(one).name for one in ran.out.split()] == ["song.inpaint.preview.3.wav", "song.inpaint.preview.4.wav"]
    assert "would make a preview (0.00-1.00 s) of " in ran.err
    assert quick("inpaint", source, *shared, "--name", "{stem}.{seed}.flac").path.name == "song.3.preview.flac"
    quick("inpaint", source, *shared, "--only-generated").refuses(2, "--preview", "--only-generated")
    assert preview_name("a.{ext}") == "a.preview.{ext}"
    assert preview_name("preview/{seed}.wav") == "preview/{seed}.wav"


def test_previews_stay_previews(vamp: Vamp, quick: Vamp, song: Song, tmp_path: Path) -> None:
    """A preview is no recording of a folder; its settings change, and its takes are previews."""
    path = quick("inpaint", song(seconds=1), "--span", "0.3-0.6", "--preview", "--no-metadata", "--sidecar").path
    found = quick("inpaint", tmp_path, "--span", "0.3-0.6", "--preview", "--skip-existing", "-n", 2)
    assert [Path(one).name for one in found.out.split()] == ["song.inpaint.preview.4.wav"], found.err
    for one in ("part=all", "part=generated"):
        vamp("replay", path, "--set", one).refuses(2, "is of the part 'preview'")
    whole = quick("inpaint", tmp_path / "song.wav", "--span", "0.3-0.6").path
    vamp("replay", whole, "--set", "part=preview").refuses(2, "cannot become 'preview'")
    new = vamp("replay", path, "--seed", 9).path
    assert (new.name, recipe_in(new).part) == ("song.inpaint.preview.9.wav", "preview")
    assert "a preview: few steps" in vamp("info", new, "--quick").out
    vamp("page", new, "-o", tmp_path / "x.html").refuses(3, "is a part of a take")


def test_loop_preview_has_loop_points(quick: Vamp, song: Song) -> None:
    path = quick("loop", song(seconds=3), "--span", "0.5-1.5", "--repeats", 9, "--seam", "0.2", "--preview").path
    assert read(path).n_samples == 2 * RATE
    assert loop_points(path) == (0, 2 * RATE)


LONG = Recording(Waveform(np.zeros((1, 30 * 8000), np.float32), 8000))  # 30 s
SHORTENED: list[tuple[Task, Task]] = [
    (Vary(), Vary(at=SpanRequest(((0.0, 10.0),)))),
    (Vary(at=SpanRequest(snap="beat"), prefix=3, suffix=4), Vary(at=SpanRequest(((0.0, 13.0),)), prefix=3)),
    (Vary(amount=0.3), Vary(amount=0.3, at=SpanRequest(((0.0, 10.0),)))),
    (Loop(repeats=9, variation=0.3), Loop(repeats=2, variation=0.3)),
    *(
        (one, one)
        for one in (
            Vary(prefix=12, suffix=8),
            Vary(at=SpanRequest(((2, 20),))),
            Vary(PromptConfig(stretch=2)),
            Loop(),
            Inpaint(SpanRequest(((2, 20),))),
        )
    ),
]


@pytest.mark.parametrize(("task", "short"), SHORTENED)
def test_tasks_of_previews(task: Task, short: Task) -> None:
    assert shorten(task, LONG) == short
    assert shorten(short, LONG) == short  # as a replay does


def test_ranges_inside_pieces() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        ranges, pieces = (
            merge_ranges(sorted((a, a + n) for a, n in rng.integers(1, 12, (3, 2)).tolist())) for _ in range(2)
        )
        marked = np.zeros(30, bool)
        for a, b in ranges:
            marked[a:b] = True
        wanted, found = np.concatenate([marked[a:b] for a, b in pieces]), np.zeros(sum(b - a for a, b in pieces), bool)
        for a, b in inside(tuple(ranges), pieces):
            found[a:b] = True
        assert np.array_equal(found, wanted)


def test_markers_move_with_one_piece() -> None:
    line = timeline([(100, 300)], 8000)
    assert line is not None
    assert [line.move(sample) for sample in (99, 100, 250, 301)] == [None, 0, 150, None]
    assert timeline([(0, 1), (2, 3)], 8000) is None
