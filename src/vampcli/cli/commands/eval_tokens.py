"""`vamp eval tokens`: accuracy of the coarse and the fine model."""

from __future__ import annotations

from typing import Annotated

from vampcli.cli import options as o
from vampcli.cli.eval_inputs import EvalOptions, Limit, read_clips, round_floats


def tokens(
    evaluation: EvalOptions,
    limit_s: Limit = None,
    windows: Annotated[int, o.value("Contexts per recording.", min=1)] = 4,
    seed: Annotated[int, o.value("Seed of the masks.")] = 0,
    device: o.Device = "auto",
) -> None:
    """Cross entropy and accuracy of coarse and fine by share of masked tokens, beside guesses without learning.

    Example: vamp eval tokens -m mini held-out/
    """
    console, model, files = evaluation.console, evaluation.model, evaluation.files
    import torch

    from vampcli.api import load
    from vampcli.codec.chunked import encode_long
    from vampcli.evaluate.token_accuracy import evaluate_tokens

    loaded = load(model, device, "fp32")
    with torch.inference_mode():
        clips = read_clips(console, files, loaded.grid.sample_rate, limit_s)
        pieces = [encode_long(loaded.codec, clip.samples.to(loaded.device)) for clip in clips]
    parts = {"coarse": loaded.coarse, "fine": loaded.fine}
    figures = {name: evaluate_tokens(part, pieces, windows, seed=seed) for name, part in parts.items()}
    console.result({"model": model, "limit_s": limit_s, "seed": seed, **round_floats(figures)})
