"""Stereo image of re-made spans against that around them: `python experiments/stereo_image.py ROOT`.

ROOT holds the held-out pieces of `configs/free-music.tsv` (`data/root` after `make free-music`). Of the middle ten s
of each piece, 4 to 6 s are re-made; inter-channel correlation and side against mid level of the span are compared with
half a second on each side of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import vampcli
from vampcli.audio.stereo import mid_side
from vampcli.train.pieces import pieces_of_table

STEPS = 8  # of 36: the image does not hang on them


def image(samples: np.ndarray) -> np.ndarray:
    """Correlation and level of the side against the mid in dB: float (2, n_samples) -> (2,)."""
    mid, side = (np.square(part).sum() for part in mid_side(samples))
    return np.array([np.corrcoef(samples)[0, 1], 10 * np.log10((side + 1e-12) / (mid + 1e-12))])


def main(root: Path) -> None:
    """Print a line for each piece, and the medians."""
    model = vampcli.load("mini", device="cpu", dtype="fp32")
    changes = []
    for piece in pieces_of_table(Path("configs/free-music.tsv"), root, "test"):
        clip = vampcli.read(piece.path)
        rate, middle = clip.sample_rate, clip.n_samples // 2
        if clip.n_channels < 2:
            continue
        part = vampcli.Waveform(clip.samples[:, middle - 5 * rate : middle + 5 * rate], rate, clip.subtype)
        config = vampcli.SamplingConfig(steps=STEPS)
        made = model.inpaint(part, [(4, 6)], seed=1, sampling=config)[0].audio.samples[:, 4 * rate : 6 * rate]
        beside = [part.samples[:, 7 * rate // 2 : 4 * rate], part.samples[:, 6 * rate : 13 * rate // 2]]
        change = image(made) - image(np.concatenate(beside, axis=1))
        changes.append(change)
        sys.stdout.write(f"{piece.title:32} correlation {change[0]:+.2f}, side {change[1]:+.1f} dB\n")
    correlation, level = np.median(changes, axis=0)
    sys.stdout.write(f"medians of {len(changes)}: correlation {correlation:+.3f}, side against mid {level:+.2f} dB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
