"""Draw what a span sounded like before and after: `python docs/picture.py BEFORE AFTER START END OUT.png`."""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import vampcli


def main(before: str, after: str, start: str, end: str, out: str) -> None:
    """Two log-frequency spectrograms, the span marked."""
    figure, axes = plt.subplots(2, 1, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
    for axis, path, title in zip(axes, (before, after), ("before", "after"), strict=True):
        sound = vampcli.read(path)
        axis.specgram(sound.samples.mean(0) + 1e-7, NFFT=4096, noverlap=3072, Fs=sound.sample_rate, vmin=-140, vmax=-40)
        axis.set(yscale="log", ylim=(50, 16000), ylabel="Hz", title=title)
        for edge in (float(start), float(end)):
            axis.axvline(edge, color="white", linewidth=1.2, linestyle="--")
    axes[1].set(xlabel="s", xticks=np.arange(0, 11))
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(*sys.argv[1:])
