"""Pictures: what lies where on the time axis, and the numbers behind the colours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from conftest import music, sine
from vampcli import Waveform
from vampcli.cli.plots.spectrogram import SILENT_DB, spectrogram
from vampcli.cli.plots.take import N_COLUMNS, RANGE_DB, check_suffix, draw, save
from vampcli.errors import InputError, UsageError

RATE, FRAME_S = 8000, 0.02


def sound(seconds: float = 2.0, n_channels: int = 1, seed: int = 0) -> Waveform:
    return Waveform(music(seconds, RATE, n_channels, seed).astype(np.float32), RATE)


def panels(figure: Figure) -> dict[str, list[Axes]]:
    """Axes by the name beside them, from top to bottom; the one of the colours by its unit."""
    found: dict[str, list[Axes]] = {}
    for axes in figure.axes:
        found.setdefault(axes.get_ylabel(), []).append(axes)
    return found


def bars(axes: Axes) -> list[tuple[float, float]]:
    """Where spans are marked above a panel."""
    [found] = [c for c in axes.collections if c.get_gid() == "spans"]
    assert isinstance(found, LineCollection)
    return [(line[0, 0], line[1, 0]) for line in found.get_segments()]


def edges(axes: Axes) -> list[float]:
    """Where the thin lines through a panel are."""
    lines = [c for c in axes.collections if isinstance(c, LineCollection) and c.get_gid() != "spans"]
    return [segment[0, 0] for c in lines for segment in c.get_segments()]


def test_everything_lies_where_it_happened() -> None:
    mask = np.zeros((3, 90), bool)  # its last frames reach beyond the sound
    mask[1:, 20:30] = True
    figure = draw(
        before=sound(),
        after=sound(seed=1),
        spans=[(4000, 6000), (8000, 9000)],
        mask=mask,
        first_frame=15,
        frame_s=FRAME_S,
    )
    found = panels(figure)
    assert {name: len(axes) for name, axes in found.items()} == {"before": 2, "after": 2, "tokens": 1, "dB": 1}
    for axes in found["before"] + found["after"] + found["tokens"]:
        assert axes.get_xlim() == (0, 2)
        assert bars(axes) == [(0.5, 0.75), (1.0, 1.125)]
        assert edges(axes) == [0.5, 0.75, 1.0, 1.125]
    [image] = found["tokens"][0].images
    assert image.get_extent() == pytest.approx((0.3, 2.1, 3.5, 0.5))  # the first codebook on top
    np.testing.assert_array_equal(image.get_array(), mask)
    assert [label.get_text() for label in found["tokens"][0].get_yticklabels()] == ["3 finest", "1 coarsest"]


def test_before_and_after_are_drawn_at_one_scale() -> None:
    quiet = Waveform(0.1 * sound(seed=1).samples, RATE)
    found = panels(draw(before=sound(), after=quiet))
    (wave, spectrum), (other_wave, other_spectrum) = found["before"], found["after"]
    assert wave.get_ylim() == other_wave.get_ylim()
    assert wave.get_ylim()[1] >= np.abs(sound().samples).max()
    limits = spectrum.images[0].get_clim()
    assert limits == other_spectrum.images[0].get_clim()
    assert limits[1] == pytest.approx(spectrum.images[0].get_array().max())
    assert limits[1] - limits[0] == RANGE_DB


def test_what_was_before_lies_inside_what_was_made_around_it() -> None:
    figure = draw(before=sound(1), after=sound(4), before_start=RATE * 2, spans=[(0, 2 * RATE), (3 * RATE, 4 * RATE)])
    (wave, spectrum), (_, whole) = panels(figure)["before"], panels(figure)["after"]
    assert wave.get_xlim() == spectrum.get_xlim() == (0, 4)
    assert spectrum.images[0].get_extent()[:2] == [2, 3]
    assert whole.images[0].get_extent()[:2] == [0, 4]
    assert 4 * spectrum.images[0].get_array().shape[1] == whole.images[0].get_array().shape[1]
    times = wave.collections[0].get_paths()[0].vertices[:, 0]
    assert (times.min(), times.max()) == pytest.approx((2, 3), abs=0.01)


def test_what_was_made_has_a_colour_of_its_own_exactly_as_far_as_the_span_reaches() -> None:
    before, after = (
        panels(draw(before=sound(), after=sound(), spans=[(4001, 6002)]))[name][0] for name in ("before", "after")
    )
    for axes in (before, after):
        clip = axes.collections[1].get_clip_path().get_fully_transformed_path()
        box = axes.transData.inverted().transform_path(clip).get_extents()
        assert (box.x0, box.x1) == pytest.approx((4001 / RATE, 6002 / RATE))
        assert (box.y0, box.y1) == pytest.approx(axes.get_ylim())
    kept, replaced, same, made = (
        axes.collections[i].get_facecolor().tolist() for axes in (before, after) for i in (0, 1)
    )
    assert kept == same
    assert kept != replaced != made != kept


def test_what_is_not_given_has_no_panel() -> None:
    mask = np.ones((4, 50), bool)
    assert set(panels(draw(after=sound()))) == {"after", "dB"}
    assert set(panels(draw(before=sound(), mask=mask, frame_s=FRAME_S))) == {"before", "tokens", "dB"}
    alone = draw(mask=mask, first_frame=50, frame_s=FRAME_S, title="a mask")
    assert set(panels(alone)) == {"tokens"}
    assert alone.axes[0].get_xlim() == (0, 2)


def test_a_picture_of_a_long_sound_has_no_more_columns() -> None:
    x = Waveform(np.zeros((2, 200_000), np.float32), 1000)
    mask = np.zeros((2, 10_001), bool)
    found = panels(draw(after=x, mask=mask, frame_s=FRAME_S))
    wave, spectrum = found["after"]
    assert len(wave.collections[0].get_paths()[0].vertices) <= 2 * N_COLUMNS + 3  # there and back, and the corners
    assert spectrum.images[0].get_array().shape[1] == N_COLUMNS
    assert found["tokens"][0].images[0].get_array().shape == (2, N_COLUMNS)
    axis = found["tokens"][0].xaxis
    assert [axis.get_major_formatter()(t, 0) for t in (0, 59, 125)] == ["0:00", "0:59", "2:05"]


@pytest.mark.parametrize("n_samples", [1, 2, 160])
def test_the_shortest_sounds_have_a_picture(n_samples: int, tmp_path: Path) -> None:
    x = Waveform(np.full((1, n_samples), 0.5, np.float32), RATE)
    figure = draw(before=x, after=x, spans=[(0, n_samples)], mask=np.ones((1, 1), bool), frame_s=FRAME_S)
    save(figure, tmp_path / "short.png")
    assert panels(figure)["after"][1].images[0].get_array().shape[1] == n_samples


def test_many_spans_do_not_hide_the_sound() -> None:
    spans = [(i * 100, i * 100 + 50) for i in range(150)]
    for axes in draw(after=sound(), spans=spans).axes[:2]:
        np.testing.assert_allclose(bars(axes), np.array(spans) / RATE)
        assert edges(axes) == []


def test_a_tone_is_drawn_at_its_frequency() -> None:
    axes = draw(after=Waveform(sine(1000, RATE, RATE).astype(np.float32), RATE)).axes[1]
    [image] = axes.images
    left, right, bottom, top = image.get_extent()
    assert axes.get_ylim() == (bottom, top)
    row = image.get_array()[:, 100].argmax()
    place = bottom + (row + 0.5) / image.get_array().shape[0] * (top - bottom)
    ticks = {label.get_text(): y for y, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert place == pytest.approx(ticks["1 kHz"], abs=0.04)
    assert (ticks["1 kHz"] - ticks["500 Hz"], ticks["2 kHz"] - ticks["1 kHz"]) == pytest.approx((1, 1))
    assert (left, right) == (0, 1)
    assert image.origin == "lower"


def test_silence_is_the_darkest() -> None:
    x = Waveform(np.zeros((1, RATE), np.float32), RATE)
    assert (spectrogram(x, 10) == SILENT_DB).all()
    image = draw(after=x).axes[1].images[0]
    assert image.get_clim()[0] > SILENT_DB


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_picture_is_the_same_bytes_whatever_the_users_settings(suffix: str, tmp_path: Path) -> None:
    def made(name: str) -> bytes:
        save(draw(mask=np.eye(9, dtype=bool), frame_s=FRAME_S, title="$a$", scores={"x": 1.0}), tmp_path / name)
        return (tmp_path / name).read_bytes()

    first = made(f"a{suffix}")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        assert made(f"b{suffix}") == first
        assert matplotlib.rcParams["font.size"] == 30  # and they are put back
    assert first.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])


@pytest.mark.parametrize("name", ["plot.jpg", "plot", ".png", "plot.wav"])
def test_an_unknown_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown picture format"):
        check_suffix(tmp_path / name)
    check_suffix(tmp_path / "PLOT.PNG")


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    figure = draw(mask=np.ones((2, 2), bool), frame_s=FRAME_S)
    with pytest.raises(InputError, match="cannot write"):
        save(figure, tmp_path / "nowhere" / "a.png")
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_text() == "mine"
    save(figure, tmp_path / "a.png", overwrite=True)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("$\\frac$ x_1 50 % {", "$\\frac$ x_1 50 % {"),
        ("cafe\u0301 — Быть \u03a9", "café — Быть \u03a9"),
        (os.fsdecode(b"caf\xe9.wav"), "caf\ufffd.wav"),
        ("two\nlines\x07", "two lines\ufffd"),
        ("\U0001f3b5", "\ufffd"),
    ],
)
def test_titles_are_taken_as_they_stand(title: str, shown: str, tmp_path: Path) -> None:
    figure = draw(mask=np.ones((2, 2), bool), frame_s=FRAME_S, title=title, scores={title: None})
    save(figure, tmp_path / "a.png")
    assert figure.get_suptitle() == shown
    assert figure.get_supxlabel().replace("\u00a0", " ") == f"{shown} -"


def test_a_long_title_keeps_both_ends_and_fits() -> None:
    figure = draw(mask=np.ones((2, 2), bool), frame_s=FRAME_S, title="W" * 50 + "M" * 300 + "end.wav")
    assert figure.get_suptitle().startswith("WWW")
    assert figure.get_suptitle().endswith("end.wav")
    [title] = [text for text in figure.texts if text.get_text() == figure.get_suptitle()]
    assert title.get_window_extent().width < 0.8 * figure.bbox.width


def test_scores_are_told_in_a_line() -> None:
    scores = {"border": 1.23456, "key": "C minor", "spread": None}
    line = draw(mask=np.ones((2, 2), bool), frame_s=FRAME_S, scores=scores).get_supxlabel()
    assert " ".join(line.split()) == "border 1.23 · key C minor · spread -"


def test_no_display_no_pyplot_and_a_cheap_check_of_the_name(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from vampcli.cli.plots.take import check_suffix, draw, save
check_suffix(Path("a.png"))
assert not {"matplotlib", "torch", "scipy", "soundfile"} & set(sys.modules)
import numpy
save(draw(mask=numpy.ones((2, 2), bool), frame_s=0.1), Path(sys.argv[1]))
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.png")], check=True, env=environment)
