"""`vamp eval`: the figures of a model card, on recordings that the model has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from vampcli.cli import options as o
from vampcli.cli.commands import eval_run, self_check
from vampcli.cli.console import Console, guarded
from vampcli.cli.eval_inputs import Audio, Root, Split, Table, files_of
from vampcli.errors import UsageError

if TYPE_CHECKING:
    from vampcli.evaluate.excerpts import Clip

app = typer.Typer(help="Measure a model on recordings.", no_args_is_help=True)
app.command()(eval_run.run)
app.command()(self_check.self_check)

Limit = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--limit-s", min=1.0, help="Only the first seconds of each recording.", show_default="all"),
]


@app.command()
@guarded
def codec(
    audio: Audio = None,
    model: o.ModelName = "mini",
    table: Table = None,
    root: Root = None,
    split: Split = "test",
    limit_s: Limit = None,
    codebooks: Annotated[
        str, typer.Option(help="How many to keep in turn, such as 1,4,9.", show_default="every number")
    ] = "",
    opus: Annotated[
        str, typer.Option(help="Bit rates of Opus to stand beside, in kbit/s; '' for none.")
    ] = "6,12,17,24",
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Mel error, SI-SDR, use of the codes, speed on one thread and clicks of a codec, beside Opus and itself untrained.

    Example: vamp eval codec -m mini --limit-s 60 held-out/
    """
    console = Console(quiet, verbose)
    kept, rates = _numbers("--codebooks", codebooks, int), _numbers("--opus", opus, float)
    files = files_of(audio or [], table, root, split)
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
    clips = _clips(console, files, grid.sample_rate, limit_s)
    figures = evaluate_codec(loaded, untrained_codec(folder), clips, rates, kept or None)
    console.result({"model": model, "limit_s": limit_s, **_rounded(figures)})


@app.command()
@guarded
def tokens(
    audio: Audio = None,
    model: o.ModelName = "mini",
    table: Table = None,
    root: Root = None,
    split: Split = "test",
    limit_s: Limit = None,
    windows: Annotated[int, typer.Option(min=1, help="Contexts of each recording.")] = 4,
    seed: Annotated[int, typer.Option(help="Of what is hidden.")] = 0,
    device: o.Device = "auto",
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Cross entropy and accuracy of coarse and fine by share of hidden tokens, beside guesses that need no learning.

    Example: vamp eval tokens -m mini held-out/
    """
    console = Console(quiet, verbose)
    files = files_of(audio or [], table, root, split)
    import torch

    from vampcli.api import load
    from vampcli.codec.chunked import encode_long
    from vampcli.evaluate.token_accuracy import evaluate_tokens

    loaded = load(model, device, "fp32")
    with torch.inference_mode():
        clips = _clips(console, files, loaded.grid.sample_rate, limit_s)
        pieces = [encode_long(loaded.codec, clip.samples.to(loaded.device)) for clip in clips]
    parts = {"coarse": loaded.coarse, "fine": loaded.fine}
    figures = {name: evaluate_tokens(part, pieces, windows, seed=seed) for name, part in parts.items()}
    console.result({"model": model, "limit_s": limit_s, "seed": seed, **_rounded(figures)})


def _clips(console: Console, files: list[Path], sample_rate: int, limit_s: float | None) -> Iterator[Clip]:
    """Read one recording after another, and say which."""
    from vampcli.evaluate.excerpts import load_clip

    for i, path in enumerate(files):
        console.note(f"{i + 1} of {len(files)}: {path.name}")
        yield load_clip(path, sample_rate, limit_s)


def _numbers(option: str, text: str, kind: Callable[[str], Any]) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise UsageError(f"{option} is {text!r}", "name numbers with commas between them") from error


def _rounded(value: Any) -> Any:
    """Five significant digits are more than any of it deserves."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
