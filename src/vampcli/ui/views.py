"""What the page draws and plays of the sounds of a window."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from vampcli.audio.spectrogram import Floats
from vampcli.audio.waveform import Waveform
from vampcli.page.picture import N_COLUMNS, decibels, png
from vampcli.ui.session import Session
from vampcli.ui.sounds import Peaks, check_range, decoded, peaks_of

MOST_PICTURE_COLUMNS = 1024
"""Columns of a spectrogram in one answer."""


def peaks(session: Session, sound_id: str) -> tuple[Waveform, Peaks]:
    """Return samples and peaks of the recording (`recording`) or of a take.

    Raises:
        KeyError: the window has no such take.
    """
    if sound_id == "recording":
        return session.opened().clip, session.opened().peaks
    path = session.takes[sound_id].made.path
    return decoded(path), peaks_of(path)


def samples(session: Session, sound_id: str) -> Waveform:
    """Return the samples of the recording, of a take, or of the recording on the time line of a take: `base-take3`.

    Raises:
        KeyError: the window has no such take.
    """
    if sound_id == "recording":
        return session.opened().clip
    path = session.takes[sound_id.removeprefix("base-")].made.path
    if not sound_id.startswith("base-"):
        return decoded(path)
    return session.orders.base(session.opened().source.recording, path)


def spectrogram(session: Session, sound_id: str, start: int, end: int, columns: int) -> bytes:
    """Return the spectrogram of a range of the recording (`recording`) or of a take as a PNG.

    Colors are those of the recording's levels, so that pictures of all ranges and takes fit together.

    Args:
        session: the window.
        sound_id: see `samples`.
        start: first sample.
        end: one past the last.
        columns: at most `MOST_PICTURE_COLUMNS`, and a sample each.

    Raises:
        KeyError: the window has no such take.
        InputError: the range is not within the sound.
    """
    recording = session.opened()
    sound = samples(session, sound_id)
    check_range(start, end, sound.n_samples)
    columns = max(1, min(columns, MOST_PICTURE_COLUMNS, end - start))
    is_all = (start, end, columns) == (0, sound.n_samples, min(N_COLUMNS, sound.n_samples))
    if is_all and sound is recording.clip:
        levels = recording.levels
    elif is_all and sound_id in session.takes:
        levels = _levels_of(session.takes[sound_id].made.path)
    else:
        levels = decibels(sound, columns, start, end)
    return png(levels, recording.top_db)


@lru_cache(maxsize=64)
def _levels_of(path: Path) -> Floats:
    return decibels(decoded(path))
