"""`vamp eval codec`: fidelity and speed of a codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from vampcli.cli import options as o
from vampcli.cli.eval_inputs import EvalOptions, Limit, read_clips, round_floats
from vampcli.errors import UsageError


def codec(
    evaluation: EvalOptions,
    limit_s: Limit = None,
    codebooks: Annotated[
        str, o.value("Numbers of codebooks to keep, such as 1,4,9.", metavar="N,...", show_default="every number")
    ] = "",
    opus: Annotated[
        str, o.value("Bit rates of Opus for comparison, in kbit/s; '' for none.", metavar="N,...")
    ] = "6,12,17,24",
) -> None:
    """Mel error, SI-SDR, code use, speed on one thread and clicks of a codec, beside Opus and the untrained codec.

    Example: vamp eval codec -m mini --limit-s 60 held-out/
    """
    console, model = evaluation.console, evaluation.model
    kept, rates = _numbers("--codebooks", codebooks, int), _numbers("--opus", opus, float)
    files = evaluation.files
    from vampcli.checkpoints import registry
    from vampcli.evaluate.codec_fidelity import evaluate_codec, load_codec, untrained_codec
    from vampcli.evaluate.opus import is_installed

    folder = registry.find(model)
    loaded = load_codec(folder)
    grid = loaded.grid
    if any(not 1 <= k <= grid.n_codebooks for k in kept):
        raise UsageError(f"--codebooks is {codebooks}", f"{model} has 1 to {grid.n_codebooks}")
    if rates and not is_installed():
        console.note("without Opus: install opus-tools to have it measured, too")
    clips = read_clips(console, files, grid.sample_rate, limit_s)
    figures = evaluate_codec(loaded, untrained_codec(folder), clips, rates, kept or None)
    console.result({"model": model, "limit_s": limit_s, **round_floats(figures)})


def _numbers(option: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise UsageError(f"{option} is {text!r}", "name numbers with commas between them") from error
