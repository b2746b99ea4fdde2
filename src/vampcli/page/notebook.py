"""A take in a notebook: players, waveform and spectrogram; and a progress bar."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from vampcli.audio.waveform import Waveform
from vampcli.audio.write import encode
from vampcli.errors import InputError
from vampcli.page.picture import HEIGHT, decibels, n_columns, outline, png
from vampcli.progress import Progress

_SPECTRUM = 120  # height, in units of an outline
_WAVE, _MADE = "#7d8791", "#0072b2"  # fit light and dark


def sound_html(before: Waveform, after: Waveform, spans: Sequence[tuple[int, int]], title: str) -> str:
    """Return a take as HTML without a script: a picture with its spans, and a player for it and for the original.

    Args:
        before: the take without generated samples; silence has no player.
        after: the take.
        spans: sample ranges that were generated.
        title: plain ASCII without `<` and `&`.
    """
    players = _player("take", after)
    if before.samples.any():
        players = _player("original", before) + players
    return f"<div><div><strong>{title}</strong></div>{_picture(after, spans)}{players}</div>"


def _picture(sound: Waveform, spans: Sequence[tuple[int, int]]) -> str:
    width, height, levels = n_columns(sound), HEIGHT + _SPECTRUM, decibels(sound)
    peak = float(np.abs(np.nan_to_num(sound.samples)).max(initial=0.0))
    image = base64.b64encode(png(levels, max(-40.0, float(levels.max())))).decode()
    scale = width / sound.n_samples
    marks = "".join(
        f'<rect x="{a * scale:.2f}" width="{(b - a) * scale:.2f}" height="{HEIGHT}" fill="{_MADE}" fill-opacity=".25"/>'
        f'<path d="M{a * scale:.2f} 0v{height}M{b * scale:.2f} 0v{height}" stroke="{_MADE}"/>'
        for a, b in spans
    )
    return (
        f'<svg role="img" aria-label="Waveform and spectrogram" viewBox="0 0 {width} {height}" width="100%" '
        f'height="150" preserveAspectRatio="none"><image href="data:image/png;base64,{image}" '
        f'y="{HEIGHT}" width="{width}" height="{_SPECTRUM}" preserveAspectRatio="none"/>'
        f'<path d="{outline(sound, peak)}" fill="{_WAVE}"/>{marks}</svg>'
    )


def _player(label: str, sound: Waveform) -> str:
    try:
        kind, data = "ogg", encode(sound, ".ogg")
    except InputError:  # Vorbis has no such rate
        kind, data = "flac", encode(sound, ".flac")
    source = f"data:audio/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<div>{label}<br><audio controls preload="metadata" aria-label="{label}" src="{source}"></audio></div>'


def notebook_progress() -> Progress:
    """Return a callback for `progress` that shows a bar below the cell of a notebook."""
    from IPython.display import HTML, display

    shown = display(HTML(_bar(0, 1)), display_id=True)

    def show(step: int, total: int) -> None:
        shown.update(HTML(_bar(step, total)))

    return show


def _bar(step: int, total: int) -> str:
    return f'<progress aria-label="Steps" value="{step}" max="{total}"></progress> {step} of {total} steps'
