"""The dial on music with the embedded model: larger amounts change the audio more, in even steps."""

from pathlib import Path

import numpy as np

from vampcli import SamplingConfig, load, read
from vampcli.evaluate.measures import Original, harmony, sound

EXAMPLE = Path(__file__).parents[1] / "examples/island-dreams.wav"


def test_dial_is_monotonic_and_even() -> None:
    """Distance from the original, by mel error and pitch classes, as measured in docs/explanation/experiments.md."""
    model, example = load("mini", "cpu", "fp32"), read(EXAMPLE)
    audio = type(example)(example.samples.mean(0, keepdims=True), example.sample_rate)
    original = Original(audio, model.encode(audio), model.grid.codebook_size)
    config = SamplingConfig(steps=4, fine_steps=1)

    def figures(amount: float) -> tuple[float, float]:
        takes = model.vamp(audio, amount=amount, takes=2, sampling=config)
        errors, likenesses = (
            np.mean([measure(take, original)[name] for take in takes])
            for measure, name in ((sound, "mel_error"), (harmony, "chroma_correlation"))
        )
        return float(errors), -float(likenesses)

    found = np.array([figures(amount) for amount in (0.05, 0.25, 0.5, 0.75, 1)])
    gone = ((found - found[0]) / (found[-1] - found[0])).mean(1)
    assert np.diff(gone).min() > 0.08
    assert np.diff(gone).max() < 0.45
