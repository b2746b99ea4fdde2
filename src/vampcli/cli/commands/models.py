"""`vamp models`: list, inspect, verify and remove models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vampcli.cli import completion
from vampcli.cli import options as o
from vampcli.cli.commands.pull import Yes, agree, import_models, pull
from vampcli.cli.console import Console, guarded, report
from vampcli.errors import ModelError

if TYPE_CHECKING:
    from vampcli.checkpoints.listing import Entry

app = typer.Typer(help="List, fetch, import, check and remove models.", no_args_is_help=True)
app.command()(pull)
app.command("import")(import_models)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="As for -m: mini, vampnet/opera, mini+jazz, a folder.", autocompletion=completion.models
    ),
]
_COLUMNS = ("name", "kind", "size", "rate", "codebooks", "parameters", "licence", "where")


@app.command("list")
@guarded
def list_models(
    as_json: o.Json = False,
) -> None:
    """List models and adapters, installed or published."""
    from vampcli.checkpoints import listing

    console = Console()
    entries = []
    for entry in listing.everything():
        if isinstance(entry, ModelError):
            console.note(entry.message)
        else:
            entries.append(entry)
    if as_json:
        for entry in entries:
            console.result(asdict(entry))
    else:
        console.columns(_COLUMNS, [_row(entry) for entry in entries])


def _row(entry: Entry) -> tuple[str, ...]:
    return (
        entry.name,
        entry.kind,
        f"{entry.megabytes:.1f} MB",
        f"{entry.sample_rate} Hz" if entry.sample_rate else "-",
        str(entry.n_codebooks or "-"),
        f"{entry.n_parameters / 1e6:.1f} M",
        entry.licence,
        entry.folder or entry.address,
    )


@app.command()
@guarded
def info(name: Name, as_json: o.Json = False) -> None:
    """Print the metadata of a model: sizes, contexts, codec, licence, origin, hashes."""
    from vampcli.checkpoints import listing

    facts = listing.facts(name)
    console = Console()
    if as_json:
        console.result(facts)
    else:
        for line in _flat(facts):
            console.result(line)


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value not in ("", None):
            yield f"{prefix}{key}: {value}"


@app.command()
@guarded
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="All by default.", autocompletion=completion.models)
    ] = None,
) -> None:
    """Read every weight and compare every file with the hashes of the pull or import."""
    from vampcli.checkpoints import install, listing

    console = Console()
    entries = () if names else listing.everything()
    here = [e if isinstance(e, ModelError) else e.name for e in entries if isinstance(e, ModelError) or e.folder]
    first: ModelError | None = None
    for name in names or here:
        try:
            if isinstance(name, ModelError):
                raise name
            install.verify(name)
            console.result(f"{name}\tintact")
        except ModelError as error:
            report(error)
            first = first or error
    if first:
        raise SystemExit(int(first.exit_code))


@app.command()
@guarded
def path(name: Name) -> None:
    """Print a model's folder; an adapter's where the name has one."""
    from vampcli.checkpoints import registry

    found = registry.locate(name)
    Console().result(str((found.adapter or found.folder).absolute()))


@app.command("rm")
@guarded
def remove(name: Name, yes: Yes = False) -> None:
    """Remove a pulled, imported or trained model or an adapter; models that come with vamp stay."""
    from vampcli.checkpoints import install

    console = Console()
    folder = install.removable_folder(name)
    agree(console, f"{name} goes, all of {folder}; Hugging Face's cache is left alone", yes)
    install.remove(folder)
    console.note(f"{name} is gone")
