"""`vamp eval reuse`: what a model loses by keeping keys and values between steps."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

from vampcli.cli import options as o
from vampcli.cli.eval_inputs import EvalOptions, read_clips, round_floats
from vampcli.errors import InputError

_UNCHECKED = 4  # steps from one whole pass to the next, for a model that recommends nothing


def reuse(
    evaluation: EvalOptions,
    windows: Annotated[int, o.value("Contexts per recording.", min=1)] = 4,
    refresh: Annotated[
        int | None, o.value("Steps from one whole pass to the next; 0: all.", panel=o.ADVANCED, show_default=False)
    ] = None,
    device: o.Device = "auto",
) -> None:
    """Compare passes that keep keys and values with whole ones: time, loss of true tokens, KL, equal tokens.

    The figures are those of the coarse model, with the sampling that the model recommends. A model folder whose figures
    are good may recommend the value in `config.json`: "sampling": {"refresh": 12}.

    Example: vamp eval reuse -m mini held-out/ --refresh 4
    """
    console, model, files = evaluation.console, evaluation.model, evaluation.files
    import torch

    from vampcli.api import load
    from vampcli.codec.chunked import encode_long
    from vampcli.evaluate.reuse_accuracy import measure_reuse
    from vampcli.evaluate.token_accuracy import spread

    loaded = load(model, device, "fp32")
    config = loaded.suited(loaded.sampling)
    config = replace(config, refresh=refresh if refresh is not None else config.refresh or _UNCHECKED)
    length, excerpts = loaded.context_frames, []
    with torch.inference_mode():
        for clip in read_clips(console, files, loaded.grid.sample_rate, None):
            codes = encode_long(loaded.codec, clip.samples.to(loaded.device))
            excerpts += spread(codes, length, windows)
    if not excerpts:
        raise InputError(f"no recording is {length * loaded.grid.frame_s:.1f} s long", "name longer ones")
    shared = {"model": model, "refresh": config.refresh, "steps": config.steps}
    for figures in measure_reuse(loaded.coarse, loaded.grid, excerpts, config):
        console.result({**shared, **round_floats(asdict(figures))})
