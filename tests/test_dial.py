"""The dial on real music with the embedded model: the more is asked for, the further the sound goes, and evenly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from vampcli import SamplingConfig, load, read
from vampcli.evaluate.metrics import piece_mel_error

EXAMPLE = Path(__file__).parents[1] / "examples/island-dreams.wav"


def test_the_dial_goes_steadily_and_evenly() -> None:
    model, original = load("mini", "cpu", "fp32"), read(EXAMPLE)
    config = SamplingConfig(n_steps=4, n_fine_steps=1)
    target = torch.from_numpy(original.samples.mean(0))

    def error(amount: float) -> float:
        takes = model.vamp(original, amount=amount, seed=1, n_takes=2, config=config)
        made = (torch.from_numpy(take.audio.samples.mean(0)) for take in takes)
        return float(np.mean([piece_mel_error(one, target, original.sample_rate) for one in made]))

    errors = [error(amount) for amount in (0, 0.25, 0.5, 0.75, 1)]
    shares = np.diff(errors) / (errors[-1] - errors[0])
    assert shares.min() > 0.05
    assert shares.max() < 0.45
