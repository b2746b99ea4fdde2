"""Import librosa so that several processes may use it for the first time at once."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock


@lru_cache
def load_librosa() -> Any:
    """Return the module `librosa`, with all functions compiled that beat and onset tracking call.

    At first use on a machine, numba compiles them for about 25 s and stores the machine code in files. Its store has no
    lock: processes that compile at the same time overwrite each other's files, and these and all later processes die of
    a segmentation fault (numba 0.68.1 with librosa 0.11.0). So one process compiles and others wait for it, and the
    files have a folder of their own, which other programs do not write to.
    """
    cache = Path(platformdirs.user_cache_dir("vamp"), "numba")
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "compiling.lock")
        lock.acquire()
    except OSError:  # the home folder is missing or read-only: numba then stores no code there either
        return _compile()
    try:
        return _compile()
    finally:
        lock.release()


def _compile() -> Any:
    import librosa

    attacks = np.zeros(256, np.float32)
    attacks[::16] = 1
    librosa.onset.onset_detect(onset_envelope=attacks, backtrack=True)
    librosa.beat.beat_track(onset_envelope=attacks, bpm=120, trim=False)
    return librosa
