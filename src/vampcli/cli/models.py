"""`vamp models`: what there is, and published files made ready."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vampcli.cli.console import Console, guarded
from vampcli.errors import ModelError

app = typer.Typer(help="List and import models.", no_args_is_help=True)


@app.command("list")
@guarded
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the models and adapters that -m knows by name."""
    from vampcli import checkpoint, library

    console = Console()
    for name, folder in library.installed().items():
        try:
            provenance = checkpoint.read_config(folder)["provenance"]
        except ModelError as error:  # one damaged model does not hide the others
            console.note(f"{name}: {error.message}")
            continue
        megabytes = sum(size for _, size in library.sizes(folder)) / 1e6
        if as_json:
            facts = {"name": name, "folder": str(folder), "megabytes": round(megabytes, 1)}
            console.result({**facts, "licence": provenance.get("licence", ""), "source": provenance.get("source", "")})
        else:
            console.result(f"{name}\t{megabytes:.1f} MB\t{provenance['licence']}\t{folder}")
    for folder in library.adapters().values():
        _list_adapter(console, folder, as_json)


def _list_adapter(console: Console, folder: Path, as_json: bool) -> None:
    from vampcli import lora

    try:
        adapter = lora.read(folder)
    except ModelError as error:
        console.note(error.message)
        return
    name, megabytes = f"{adapter.base}+{folder.name}", (folder / lora.FILE).stat().st_size / 1e6
    if as_json:
        facts = {"name": name, "folder": str(folder), "megabytes": round(megabytes, 1), "licence": adapter.licence}
        titles = ", ".join(str(source.get("title", "")) for source in adapter.sources)
        console.result({**facts, "source": f"{adapter.base}, fine-tuned on {titles}"})
    else:
        console.result(f"{name}\t{megabytes:.1f} MB\t{adapter.licence}\t{folder}")


@app.command("import")
@guarded
def import_models(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Holds codec.pth, coarse.pth and c2f.pth.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    dtype: Annotated[str, typer.Option(help="Precision to store: fp32, bf16 or fp16.")] = "fp32",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that is there.")] = False,
) -> None:
    """Convert published VampNet files into a model folder; use it with -m."""
    from vampcli.checkpoint import DTYPES, refuse_existing
    from vampcli.convert import PROVENANCE, import_published
    from vampcli.errors import UsageError

    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype: {dtype!r}", f"use {', '.join(DTYPES)}")
    refuse_existing(out, overwrite)
    import_published(folder, out, DTYPES[dtype])
    console = Console()
    console.note(f"licence of the published weights: {PROVENANCE.licence}")
    console.result(str(out))
