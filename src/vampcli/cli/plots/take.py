"""What happened to a sound, as a picture: waveform and spectrogram before and after, and the token mask."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vampcli.cli.plots.spectrogram import band_edges, density, envelope, spectrogram
from vampcli.errors import UsageError
from vampcli.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from vampcli.audio.waveform import Waveform

N_COLUMNS = 1200
"""Points of time in a picture, at most: about its pixels."""
RANGE_DB = 70.0
"""From the darkest to the brightest of a spectrogram."""

_UNDATED = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # for equal bytes
_KEPT, _REPLACED, _MADE, _MADE_ON_DARK = "#5f6b76", "#b9c4cd", "#0072b2", "#56b4e9"  # magma holds no blue like these
_TOKEN, _NOTHING = "#d3d9dd", "#f1f2f4"
_TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_TICKS_S = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_FIXED = "\u00a0"  # a space that lines are not broken at
_FONTS = ["DejaVu Sans"]  # matplotlib's own; then what systems have for other scripts
_FONTS += ["Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo"]
_FONTS += ["Yu Gothic", "Microsoft YaHei", "Malgun Gothic"]


def check_suffix(path: Path) -> None:
    """Refuse a name that says no kind of picture; asking needs no matplotlib.

    Raises:
        UsageError: the suffix is none of .png, .svg and .pdf.
    """
    if path.suffix.lower() not in _UNDATED:
        raise UsageError(f"unknown picture format: '{path.suffix or path}'", f"use one of {' '.join(_UNDATED)}")


def save(figure: Figure, path: Path, overwrite: bool = False) -> None:
    """Write a picture whole or not at all; the same picture gives the same bytes.

    Args:
        figure: from `draw`.
        path: the suffix names the format.
        overwrite: replace a file that exists.

    Raises:
        UsageError: the suffix is none of .png, .svg and .pdf.
        InputError: the file exists, or cannot be written.
    """
    check_suffix(path)
    suffix = path.suffix.lower()
    with replacing(path, overwrite) as temp, temp.open("wb") as file, _own_settings():
        figure.savefig(file, format=suffix[1:], dpi=120, metadata=_UNDATED[suffix])


@dataclass(frozen=True)
class _Sound:
    """A waveform on the time axis of the picture."""

    name: str
    waveform: Waveform
    start_s: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.waveform.duration_s

    def n_columns(self, length_s: float) -> int:
        """Its part of the columns of a picture that long."""
        n = round(N_COLUMNS * self.waveform.duration_s / length_s)
        return min(max(1, n), self.waveform.n_samples)


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
    before_start: int = 0,
) -> Figure:
    """Draw waveforms, spectrograms and mask over one time axis; what is None has no panel.

    Args:
        before: the input, of any length. One of before, after and mask must be given.
        after: the result.
        spans: sample ranges of `after` (without it, of `before`) that were made.
        mask: bool (n_codebooks, n_frames), True = hidden, so generated.
        first_frame: where the mask begins, in frames from the beginning of `after`.
        frame_s: length of a frame, in seconds.
        title: any text, taken as it stands.
        scores: names and values for a line below; None is shown as a dash.
        before_start: where `before` begins, in its samples from the beginning of `after`.
    """
    given = (("before", before, before_start), ("after", after, 0))
    sounds = [_Sound(name, w, start / w.sample_rate) for name, w, start in given if w is not None]
    spans_s = [(a / w.sample_rate, b / w.sample_rate) for w in [after or before] if w is not None for a, b in spans]
    mask_end_s = [] if mask is None else [(first_frame + mask.shape[1]) * frame_s]
    length_s = max([sound.end_s for sound in sounds] or mask_end_s)
    with _own_settings():
        figure, rows, colour_axes = _panels(len(sounds), mask is not None, length_s)
        waves, spectra = rows[: len(sounds)], rows[len(sounds) : 2 * len(sounds)]
        _draw_waves(waves, sounds, length_s, spans_s)
        if colour_axes is not None:
            _draw_spectra(spectra, sounds, length_s, colour_axes)
        if mask is not None:
            _draw_mask(rows[-1], mask, first_frame, frame_s)
        for axes in rows:
            _mark(axes, spans_s, _MADE_ON_DARK if axes in spectra else _MADE)
        _write(figure, title, scores or {})
        if spans_s or mask is not None:
            _explain(figure, _KEPT if sounds else _TOKEN, "re-made" if after is not None else "hidden")
        figure.align_ylabels(rows)
    return figure


def _panels(n_sounds: int, has_mask: bool, length_s: float) -> tuple[Figure, list[Axes], Axes | None]:
    """Empty panels from top to bottom over one time axis, and the one for the colours beside the spectrograms."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    heights = [0.8] * n_sounds + [2.0] * n_sounds + [1.1] * has_mask
    figure = Figure(figsize=(12, 1.1 + 1.06 * sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=(1, 0.01))
    rows: list[Axes] = []
    for i in range(len(heights)):
        rows.append(figure.add_subplot(grid[i, 0], sharex=rows[0] if rows else None))
        rows[-1].tick_params(labelbottom=i == len(heights) - 1, labelsize=8.5)
        rows[-1].set_facecolor(_NOTHING)
    rows[-1].set(xlim=(0, length_s), xlabel="seconds")
    if length_s > 120:
        step = next((step for step in _TICKS_S if length_s / step <= 15), _TICKS_S[-1])
        rows[-1].xaxis.set_major_locator(MultipleLocator(step))
        rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{int(t) // 60}:{int(t) % 60:02d}"))
        rows[-1].set_xlabel("minutes:seconds")
    return figure, rows, figure.add_subplot(grid[n_sounds : 2 * n_sounds, 1]) if n_sounds else None


def _draw_waves(rows: list[Axes], sounds: list[_Sound], length_s: float, spans_s: list[tuple[float, float]]) -> None:
    """Waveforms at one scale; what lies in the spans is pale where it was replaced, blue where it was made."""
    from matplotlib.path import Path as Outline

    shapes = [envelope(sound.waveform.samples, sound.n_columns(length_s)) for sound in sounds]
    top = 1.08 * (max((float(np.abs(shape).max()) for shape in shapes), default=0) or 1.0)
    boxes = [Outline([(a, -top), (a, top), (b, top), (b, -top)]) for a, b in spans_s]
    for axes, sound, (low, high) in zip(rows, sounds, shapes, strict=True):
        edges = np.linspace(sound.start_s, sound.end_s, len(low) + 1)
        times = (edges[:-1] + edges[1:]) / 2
        axes.axvspan(sound.start_s, sound.end_s, color="white")
        axes.fill_between(times, low, high, color=_KEPT, linewidth=0.6)  # the line shows what is flat
        if boxes:
            colour = _REPLACED if sound.name == "before" and len(sounds) > 1 else _MADE
            shape = axes.fill_between(times, low, high, color=colour, linewidth=0.6)
            shape.set_clip_path(Outline.make_compound_path(*boxes), axes.transData)
        axes.set(ylim=(-top, top), yticks=[])
        axes.set_ylabel(sound.name, fontweight="bold")


def _draw_spectra(rows: list[Axes], sounds: list[_Sound], length_s: float, colour_axes: Axes) -> None:
    """Spectrograms in the same colours, over octaves (log2 of Hz)."""
    pictures = [spectrogram(sound.waveform, sound.n_columns(length_s)) for sound in sounds]
    top = max(-40.0, *(float(picture.max()) for picture in pictures))
    for axes, sound, picture in zip(rows, sounds, pictures, strict=True):
        low, high = np.log2(band_edges(sound.waveform.sample_rate)[[0, -1]])
        where = (sound.start_s, sound.end_s, low, high)
        image = axes.imshow(
            picture, "magma", vmin=top - RANGE_DB, vmax=top, aspect="auto", origin="lower", extent=where
        )
        ticks = [f for f in _TICKS_HZ if low <= np.log2(f) <= high]
        axes.set_yticks(np.log2(ticks), [f"{f // 1000} kHz" if f >= 1000 else f"{f} Hz" for f in ticks])
        axes.set_xlim(0, length_s)
        axes.set_ylabel(sound.name, fontweight="bold")
    rows[0].figure.colorbar(image, cax=colour_axes).set_label("dB", fontsize=8.5)
    colour_axes.tick_params(labelsize=8.5)


def _draw_mask(axes: Axes, mask: npt.NDArray[np.bool_], first_frame: int, frame_s: float) -> None:
    """Tokens, the coarsest codebook on top, hidden ones blue; where there are none, the models did not look."""
    from matplotlib.colors import LinearSegmentedColormap

    n_codebooks, n_frames = mask.shape
    colours = LinearSegmentedColormap.from_list("hidden", [_TOKEN, _MADE])
    where = (first_frame * frame_s, (first_frame + n_frames) * frame_s, n_codebooks + 0.5, 0.5)
    limits = axes.get_xlim()
    image = axes.imshow(density(mask, min(n_frames, N_COLUMNS)), colours, vmin=0, vmax=1, aspect="auto", extent=where)
    image.set_interpolation("nearest")
    for line in range(1, n_codebooks if n_codebooks <= 24 else 0):
        axes.axhline(line + 0.5, color="white", linewidth=0.6)
    names = {n_codebooks: f"{n_codebooks} finest", 1: "1 coarsest"}
    axes.set_yticks(list(names), list(names.values()))
    axes.set_xlim(limits)
    axes.set_ylabel("tokens", fontweight="bold")


def _mark(axes: Axes, spans_s: list[tuple[float, float]], colour: str) -> None:
    """Show where the spans are: bars above the panel, and thin lines unless there are so many that they hide it."""
    from matplotlib.transforms import ScaledTranslation

    across = axes.get_xaxis_transform()
    if spans_s:
        above = across + ScaledTranslation(0, 3.5 / 72, axes.figure.dpi_scale_trans)
        starts, ends = zip(*spans_s, strict=True)
        bars = axes.hlines([1.0] * len(spans_s), starts, ends, _MADE, linewidth=4, transform=above, clip_on=False)
        bars.set(gid="spans", capstyle="butt")
    if 0 < len(spans_s) <= 40:
        axes.vlines(sorted(set(chain(*spans_s))), 0, 1, colour, linewidth=0.9, transform=across)


def _write(figure: Figure, title: str, scores: Mapping[str, float | str | None]) -> None:
    """The title above and the scores below; nothing of them is taken as a formula."""
    short = title if len(title) <= 90 else f"{title[:44]} … {title[-43:]}"
    text = figure.suptitle(_shown(short) or " ", x=0.01, ha="left", fontsize=13, parse_math=False)
    text.set_fontsize(13 * min(1, 9 * figure.dpi / text.get_window_extent().width))
    if scores:
        pairs = [_shown(f"{name} {_score(value)}").replace(" ", _FIXED) for name, value in scores.items()]
        line = fill(f"{_FIXED * 2}·{_FIXED} ".join(pairs), 150)
        figure.supxlabel(line, x=0.01, ha="left", fontsize=9.5, parse_math=False)


def _explain(figure: Figure, kept: str, made: str) -> None:
    """What the colours mean, beside the title."""
    from matplotlib.patches import Patch

    patches = [Patch(color=kept, label="kept"), Patch(color=_MADE, label=made)]
    figure.legend(handles=patches, loc="upper right", ncols=2, frameon=False, fontsize=9.5, borderaxespad=0)


def _score(value: float | str | None) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.3g}"


@contextmanager
def _own_settings() -> Iterator[None]:
    """Draw with matplotlib's own settings, whatever the user's file says, and put theirs back."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.family": _families(), "svg.hashsalt": "vamp"})
        yield


def _families() -> list[str]:
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    return [name for name in _FONTS if name in installed]


def _shown(text: str) -> str:
    """Text as our fonts can show it: what none of them holds, such as bytes that are no text, becomes a �."""
    from matplotlib.font_manager import findfont, get_font

    known = {code for name in _families() for code in get_font(findfont(name)).get_charmap()}
    composed = unicodedata.normalize("NFC", text)
    return "".join(" " if c.isspace() else c if c.isprintable() and ord(c) in known else "\ufffd" for c in composed)
