"""Plot of a take: waveforms and spectrograms before and after, and the token mask."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain
from textwrap import fill

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Patch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MultipleLocator
from matplotlib.transforms import ScaledTranslation

from vampcli.audio.spectrogram import band_edges, density, envelope, spectrogram
from vampcli.audio.waveform import Waveform
from vampcli.cli.plots.figure import default_style, installed_fonts

N_COLUMNS = 1200
"""Columns of a plot, at most: about its pixels."""
RANGE_DB = 70.0
"""From the darkest to the brightest color of a spectrogram."""

_KEPT, _REPLACED, _MADE, _MADE_ON_DARK = "#5f6b76", "#b9c4cd", "#0072b2", "#56b4e9"  # magma has no such blue
_TOKEN, _EMPTY = "#d3d9dd", "#f1f2f4"
_TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_TICKS_S = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_NO_BREAK = "\u00a0"  # no-break space


@default_style()
def draw(
    *,
    before: Waveform | None = None,
    after: Waveform | None = None,
    spans: Sequence[tuple[int, int]] = (),
    mask: npt.NDArray[np.bool_] | None = None,
    first_frame: int = 0,
    frame_s: float = 0.0,
    title: str = "",
    scores: Mapping[str, float | str | None] | None = None,
) -> Figure:
    """Draw waveforms, spectrograms and the mask over one time axis; None has no panel.

    Args:
        before: the input. One of before, after and mask must be given.
        after: the result.
        spans: sample ranges of `after` (without it, of `before`) that were generated.
        mask: bool (n_codebooks, n_frames), True = generated.
        first_frame: start of the mask, in frames from the start of `after`.
        frame_s: length of a frame, in seconds.
        title: plain text.
        scores: names and values, printed below; None is a dash.
    """
    sounds = {name: sound for name, sound in (("before", before), ("after", after)) if sound is not None}
    spans_s = [(a / w.sample_rate, b / w.sample_rate) for w in [after or before] if w is not None for a, b in spans]
    durations_s = [sound.duration_s for sound in sounds.values()]
    length_s = max(durations_s) if mask is None or durations_s else (first_frame + mask.shape[1]) * frame_s
    figure, rows, color_axes = _panels(len(sounds), mask is not None, length_s)
    waves, spectra = rows[: len(sounds)], rows[len(sounds) : 2 * len(sounds)]
    _draw_waves(waves, sounds, length_s, spans_s)
    if color_axes is not None:
        _draw_spectra(spectra, sounds, length_s, color_axes)
    if mask is not None:
        _draw_mask(rows[-1], mask, first_frame, frame_s)
    for axes in rows:
        _mark_spans(axes, spans_s, _MADE_ON_DARK if axes in spectra else _MADE)
    _write_text(figure, title, scores or {})
    if spans_s or mask is not None:
        _add_legend(figure, _KEPT if sounds else _TOKEN, "re-made" if after is not None else "hidden")
    figure.align_ylabels(rows)
    return figure


def _panels(n_sounds: int, has_mask: bool, length_s: float) -> tuple[Figure, list[Axes], Axes | None]:
    """Make empty panels from top to bottom over one time axis, and the axes of the color bar."""
    heights = [0.8] * n_sounds + [2.0] * n_sounds + [1.1] * has_mask
    figure = Figure(figsize=(12, 1.1 + 1.06 * sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=(1, 0.01))
    rows: list[Axes] = []
    for i in range(len(heights)):
        rows.append(figure.add_subplot(grid[i, 0], sharex=rows[0] if rows else None))
        rows[-1].tick_params(labelbottom=i == len(heights) - 1, labelsize=8.5)
        rows[-1].set_facecolor(_EMPTY)
    rows[-1].set(xlim=(0, length_s), xlabel="seconds")
    if length_s > 120:
        step = next((step for step in _TICKS_S if length_s / step <= 15), _TICKS_S[-1])
        rows[-1].xaxis.set_major_locator(MultipleLocator(step))
        rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{int(t) // 60}:{int(t) % 60:02d}"))
        rows[-1].set_xlabel("minutes:seconds")
    return figure, rows, figure.add_subplot(grid[n_sounds : 2 * n_sounds, 1]) if n_sounds else None


def _n_columns(sound: Waveform, length_s: float) -> int:
    """Count the columns of a sound in a plot of `length_s`."""
    return min(max(1, round(N_COLUMNS * sound.duration_s / length_s)), sound.n_samples)


def _draw_waves(
    rows: list[Axes], sounds: dict[str, Waveform], length_s: float, spans_s: list[tuple[float, float]]
) -> None:
    """Draw waveforms at one scale; the spans are pale where they were replaced, blue where they were generated."""
    shapes = [envelope(sound.samples, _n_columns(sound, length_s)) for sound in sounds.values()]
    top = 1.08 * (max((float(np.abs(shape).max()) for shape in shapes), default=0) or 1.0)
    boxes = [Path([(a, -top), (a, top), (b, top), (b, -top)]) for a, b in spans_s]
    for axes, (name, sound), (low, high) in zip(rows, sounds.items(), shapes, strict=True):
        edges = np.linspace(0, sound.duration_s, len(low) + 1)
        times = (edges[:-1] + edges[1:]) / 2
        axes.axvspan(0, sound.duration_s, color="white")
        axes.fill_between(times, low, high, color=_KEPT, linewidth=0.6)  # the line shows silence
        if boxes:
            color = _REPLACED if name == "before" and len(sounds) > 1 else _MADE
            shape = axes.fill_between(times, low, high, color=color, linewidth=0.6)
            shape.set_clip_path(Path.make_compound_path(*boxes), axes.transData)
        axes.set(ylim=(-top, top), yticks=[])
        axes.set_ylabel(name, fontweight="bold")


def _draw_spectra(rows: list[Axes], sounds: dict[str, Waveform], length_s: float, color_axes: Axes) -> None:
    """Draw spectrograms with one color scale, over octaves (log2 of Hz)."""
    pictures = [spectrogram(sound, _n_columns(sound, length_s)) for sound in sounds.values()]
    top = max(-40.0, *(float(picture.max()) for picture in pictures))
    for axes, (name, sound), picture in zip(rows, sounds.items(), pictures, strict=True):
        low, high = np.log2(band_edges(sound.sample_rate)[[0, -1]])
        where = (0, sound.duration_s, low, high)
        image = axes.imshow(
            picture, "magma", vmin=top - RANGE_DB, vmax=top, aspect="auto", origin="lower", extent=where
        )
        ticks = [f for f in _TICKS_HZ if low <= np.log2(f) <= high]
        axes.set_yticks(np.log2(ticks), [f"{f // 1000} kHz" if f >= 1000 else f"{f} Hz" for f in ticks])
        axes.set_xlim(0, length_s)
        axes.set_ylabel(name, fontweight="bold")
    rows[0].figure.colorbar(image, cax=color_axes).set_label("dB", fontsize=8.5)
    color_axes.tick_params(labelsize=8.5)


def _draw_mask(axes: Axes, mask: npt.NDArray[np.bool_], first_frame: int, frame_s: float) -> None:
    """Draw the mask, the coarsest codebook on top, hidden tokens blue; blank beyond the frames that the models see."""
    n_codebooks, n_frames = mask.shape
    colors = LinearSegmentedColormap.from_list("hidden", [_TOKEN, _MADE])
    where = (first_frame * frame_s, (first_frame + n_frames) * frame_s, n_codebooks + 0.5, 0.5)
    limits = axes.get_xlim()
    image = axes.imshow(density(mask, min(n_frames, N_COLUMNS)), colors, vmin=0, vmax=1, aspect="auto", extent=where)
    image.set_interpolation("nearest")
    for line in range(1, n_codebooks if n_codebooks <= 24 else 0):
        axes.axhline(line + 0.5, color="white", linewidth=0.6)
    names = {n_codebooks: f"{n_codebooks} finest", 1: "1 coarsest"}
    axes.set_yticks(list(names), list(names.values()))
    axes.set_xlim(limits)
    axes.set_ylabel("tokens", fontweight="bold")


def _mark_spans(axes: Axes, spans_s: list[tuple[float, float]], color: str) -> None:
    """Mark the spans with bars above the panel, and with thin lines unless there are so many that they hide it."""
    across = axes.get_xaxis_transform()
    if spans_s:
        above = across + ScaledTranslation(0, 3.5 / 72, axes.figure.dpi_scale_trans)
        starts, ends = zip(*spans_s, strict=True)
        bars = axes.hlines([1.0] * len(spans_s), starts, ends, _MADE, linewidth=4, transform=above, clip_on=False)
        bars.set(gid="spans", capstyle="butt")
    if 0 < len(spans_s) <= 40:
        axes.vlines(sorted(set(chain(*spans_s))), 0, 1, color, linewidth=0.9, transform=across)


def _write_text(figure: Figure, title: str, scores: Mapping[str, float | str | None]) -> None:
    """Write the title above and the scores below, as plain text."""
    short = title if len(title) <= 90 else f"{title[:44]} … {title[-43:]}"
    text = figure.suptitle(_displayable(short) or " ", x=0.01, ha="left", fontsize=13, parse_math=False)
    text.set_fontsize(13 * min(1, 9 * figure.dpi / text.get_window_extent().width))
    if scores:
        pairs = [_displayable(f"{name} {_score(value)}").replace(" ", _NO_BREAK) for name, value in scores.items()]
        line = fill(f"{_NO_BREAK * 2}·{_NO_BREAK} ".join(pairs), 150)
        figure.supxlabel(line, x=0.01, ha="left", fontsize=9.5, parse_math=False)


def _add_legend(figure: Figure, kept: str, made: str) -> None:
    """Explain the colors, beside the title."""
    patches = [Patch(color=kept, label="kept"), Patch(color=_MADE, label=made)]
    figure.legend(handles=patches, loc="upper right", ncols=2, frameon=False, fontsize=9.5, borderaxespad=0)


def _score(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.3g}"


def _displayable(text: str) -> str:
    """Replace what no installed font can show, such as bytes that are no text, by �."""
    known = {code for name in installed_fonts() for code in get_font(findfont(name)).get_charmap()}
    composed = unicodedata.normalize("NFC", text)
    return "".join(" " if c.isspace() else c if c.isprintable() and ord(c) in known else "\ufffd" for c in composed)
