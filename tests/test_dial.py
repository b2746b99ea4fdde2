"""The dial on music with the embedded model: larger amounts change the audio more, in even steps."""

from pathlib import Path

import numpy as np

from vampcli import SamplingConfig, load, read
from vampcli.evaluate.measures import Original, harmony, sound
from vampcli.scoring.attacks import correlation, strength

EXAMPLE = Path(__file__).parents[1] / "examples/island-dreams.wav"


def test_dial_is_monotonic_and_even() -> None:
    """Distance by mel error, pitch classes and attacks, as measured in docs/explanation/experiments.md."""
    model, example = load("mini", "cpu", "fp32"), read(EXAMPLE)
    audio = type(example)(example.samples.mean(0, keepdims=True), example.sample_rate)
    original = Original(audio, model.encode(audio), model.grid.codebook_size)
    config = SamplingConfig(steps=4, fine_steps=1)

    attacks = strength(audio, 0, audio.n_samples)

    def figures(amount: float) -> tuple[float, ...]:
        takes = model.vamp(audio, amount=amount, takes=2, sampling=config)
        each = [
            (
                sound(take, original)["mel_error"],
                -harmony(take, original)["chroma_correlation"],
                -(correlation(strength(take.audio, 0, audio.n_samples), attacks) or 0.0),
            )
            for take in takes
        ]
        return tuple(np.mean(each, axis=0).tolist())

    found = np.array([figures(amount) for amount in (0.05, 0.25, 0.5, 0.75, 1)])
    gone = (found - found[0]) / (found[-1] - found[0])
    assert gone[2, 2] < 0.3  # at 0.5 the beat is still there
    gone = gone.mean(1)
    assert np.diff(gone).min() > 0.08
    assert np.diff(gone).max() < 0.45
