"""Plots of takes: positions on the time axis, and the numbers behind the colors."""

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
from vampcli.audio.spectrogram import SILENT_DB, spectrogram
from vampcli.cli.plots.figure import check_suffix, save
from vampcli.cli.plots.take import N_COLUMNS, RANGE_DB, draw
from vampcli.errors import InputError, UsageError

RATE, FRAME_S = 8000, 0.02
MASK = np.ones((2, 2), bool)


def sound(seconds: float = 2.0, n_channels: int = 1, seed: int = 0) -> Waveform:
    return Waveform(music(seconds, RATE, n_channels, seed).astype(np.float32), RATE)


def panels(figure: Figure) -> dict[str, list[Axes]]:
    """Axes by their labels, from top to bottom; the color bar by its unit."""
    found: dict[str, list[Axes]] = {}
    for axes in figure.axes:
        found.setdefault(axes.get_ylabel(), []).append(axes)
    return found


def bars(axes: Axes) -> list[tuple[float, float]]:
    """Spans marked above a panel."""
    [found] = [c for c in axes.collections if c.get_gid() == "spans"]
    assert isinstance(found, LineCollection)
    return [(line[0, 0], line[1, 0]) for line in found.get_segments()]


def edges(axes: Axes) -> list[float]:
    """Positions of the thin lines through a panel."""
    lines = [c for c in axes.collections if isinstance(c, LineCollection) and c.get_gid() != "spans"]
    return [segment[0, 0] for c in lines for segment in c.get_segments()]


def test_all_panels_share_the_time_axis() -> None:
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


def test_before_and_after_share_one_scale() -> None:
    quiet = Waveform(0.1 * sound(seed=1).samples, RATE)
    found = panels(draw(before=sound(), after=quiet))
    (wave, spectrum), (other_wave, other_spectrum) = found["before"], found["after"]
    assert wave.get_ylim() == other_wave.get_ylim()
    assert wave.get_ylim()[1] >= np.abs(sound().samples).max()
    limits = spectrum.images[0].get_clim()
    assert limits == other_spectrum.images[0].get_clim()
    assert limits[1] == pytest.approx(spectrum.images[0].get_array().max())
    assert limits[1] - limits[0] == RANGE_DB


def test_spans_have_their_color_exactly() -> None:
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


def test_none_has_no_panel() -> None:
    mask = np.ones((4, 50), bool)
    assert set(panels(draw(after=sound()))) == {"after", "dB"}
    assert set(panels(draw(before=sound(), mask=mask, frame_s=FRAME_S))) == {"before", "tokens", "dB"}
    alone = draw(mask=mask, first_frame=50, frame_s=FRAME_S, title="a mask")
    assert set(panels(alone)) == {"tokens"}
    assert alone.axes[0].get_xlim() == (0, 2)


def test_long_sounds_have_no_more_columns() -> None:
    x = Waveform(np.zeros((2, 200_000), np.float32), 1000)
    mask = np.zeros((2, 10_001), bool)
    found = panels(draw(after=x, mask=mask, frame_s=FRAME_S))
    wave, spectrum = found["after"]
    assert len(wave.collections[0].get_paths()[0].vertices) <= 2 * N_COLUMNS + 3  # there and back, and the corners
    assert spectrum.images[0].get_array().shape[1] == N_COLUMNS
    assert found["tokens"][0].images[0].get_array().shape == (2, N_COLUMNS)
    axis = found["tokens"][0].xaxis
    assert [axis.get_major_formatter()(t, 0) for t in (0, 59, 125)] == ["0:00", "0:59", "2:05"]


@pytest.mark.parametrize("n_samples", [1, 160])
def test_the_shortest_sounds_are_drawn(n_samples: int, tmp_path: Path) -> None:
    x = Waveform(np.full((1, n_samples), 0.5, np.float32), RATE)
    figure = draw(before=x, after=x, spans=[(0, n_samples)], mask=np.ones((1, 1), bool), frame_s=FRAME_S)
    save(figure, tmp_path / "short.png")
    assert panels(figure)["after"][1].images[0].get_array().shape[1] == n_samples


def test_many_spans_hide_no_sound() -> None:
    spans = [(i * 100, i * 100 + 50) for i in range(150)]
    for axes in draw(after=sound(), spans=spans).axes[:2]:
        np.testing.assert_allclose(bars(axes), np.array(spans) / RATE)
        assert edges(axes) == []


def test_a_tone_lies_at_its_frequency() -> None:
    axes = draw(after=Waveform(sine(1000, RATE, RATE).astype(np.float32), RATE)).axes[1]
    [image] = axes.images
    left, right, bottom, top = image.get_extent()
    assert axes.get_ylim() == (bottom, top)
    row = image.get_array()[:, 100].argmax()
    y_at_peak = bottom + (row + 0.5) / image.get_array().shape[0] * (top - bottom)
    ticks = {label.get_text(): y for y, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert y_at_peak == pytest.approx(ticks["1 kHz"], abs=0.04)
    assert (ticks["1 kHz"] - ticks["500 Hz"], ticks["2 kHz"] - ticks["1 kHz"]) == pytest.approx((1, 1))
    assert (left, right) == (0, 1)
    assert image.origin == "lower"


def test_silence_is_the_darkest() -> None:
    silence = Waveform(np.zeros((1, RATE), np.float32), RATE)
    assert (spectrogram(silence, 10) == SILENT_DB).all()
    assert draw(after=silence).axes[1].images[0].get_clim()[0] > SILENT_DB


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_equal_figures_give_equal_bytes(suffix: str, tmp_path: Path) -> None:
    def made(name: str) -> bytes:
        save(draw(mask=np.eye(9, dtype=bool), frame_s=FRAME_S, title="$a$", scores={"x": 1.0}), tmp_path / name)
        return (tmp_path / name).read_bytes()

    first = made(f"a{suffix}")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        assert made(f"b{suffix}") == first
        assert matplotlib.rcParams["font.size"] == 30  # restored
    assert first.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])


@pytest.mark.parametrize("name", ["plot.jpg", "plot", ".png", "plot.wav"])
def test_an_unknown_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown picture format"):
        check_suffix(tmp_path / name)
    check_suffix(tmp_path / "PLOT.PNG")


def test_saving_is_whole_or_none(tmp_path: Path) -> None:
    figure = draw(mask=MASK, frame_s=FRAME_S)
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
def test_titles_are_plain_text(title: str, shown: str) -> None:
    figure = draw(mask=MASK, frame_s=FRAME_S, title=title, scores={title: None})
    assert figure.get_suptitle() == shown
    assert figure.get_supxlabel().replace("\u00a0", " ") == f"{shown} -"


def test_long_titles_keep_both_ends() -> None:
    figure = draw(mask=MASK, frame_s=FRAME_S, title="W" * 50 + "M" * 300 + "end.wav")
    [title] = [text for text in figure.texts if text.get_text() == figure.get_suptitle()]
    assert title.get_text().startswith("WWW")
    assert title.get_text().endswith("end.wav")
    assert title.get_window_extent().width < 0.8 * figure.bbox.width


def test_scores_are_one_line() -> None:
    scores = {"border": 1.23456, "key": "C minor", "spread": None}
    line = draw(mask=MASK, frame_s=FRAME_S, scores=scores).get_supxlabel()
    assert " ".join(line.split()) == "border 1.23 · key C minor · spread -"


def test_needs_neither_display_nor_pyplot(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from vampcli.cli.plots.figure import check_suffix, save
check_suffix(Path("a.png"))
assert not {"matplotlib", "torch", "scipy", "soundfile"} & set(sys.modules)
import numpy
from vampcli.cli.plots.take import draw
save(draw(mask=numpy.ones((2, 2), bool), frame_s=0.1), Path(sys.argv[1]))
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.png")], check=True, env=environment)
