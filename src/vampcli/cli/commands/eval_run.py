"""`vamp eval run`: excerpts made anew under many conditions, measured, as a table and plots."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded
from vampcli.cli.eval_inputs import Audio, Root, Split, Table, files_of
from vampcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from vampcli.api import Model
    from vampcli.evaluate.excerpts import Excerpt
    from vampcli.evaluate.run import Record
    from vampcli.evaluate.spec import Experiment
    from vampcli.evaluate.summary import Row


@guarded
def run(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="TOML file that names conditions.")],
    audio: Audio = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of records, table and plots.")] = Path("eval"),
    model: o.ModelName = "mini",
    table: Table = None,
    root: Root = None,
    split: Split = "test",
    reference: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Other real music, that distances are measured to: a file or folder, or several."),
    ] = None,
    reference_split: Annotated[str, typer.Option(help="The same: rows of the table.")] = "",
    n_excerpts: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("-n", "--excerpts", min=1, help="How many, of all recordings.", show_default="the file's"),
    ] = None,
    device: o.Device = "auto",
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Make excerpts anew under the conditions of a TOML file, and measure what came of it.

    Goes on where an earlier run stopped. Prints the paths of table and plots.

    Example: vamp eval run configs/eval/quick.toml held-out/ -o runs/quick
    """
    console = Console(quiet, verbose)
    from vampcli.evaluate.measures import EMBEDDING, check_packages
    from vampcli.evaluate.spec import read_experiment

    wanted = read_experiment(experiment, {} if n_excerpts is None else {"n_excerpts": n_excerpts})
    files = files_of(audio or [], table, root, split)
    if reference and reference_split:
        raise UsageError("both --reference and --reference-split", "name one of them")
    others = files_of([], table, root, reference_split) if reference_split else []
    others = files_of(reference, None, None, "") if reference else others

    check_packages(wanted.figures)
    if EMBEDDING in wanted.figures and not others:
        raise UsageError(
            "distances are measured to other real music, and none is named",
            "name it with --reference or --reference-split, or leave embedding out of the figures",
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}", "name another one with -o") from error

    from vampcli.api import load
    from vampcli.evaluate.excerpts import choose_excerpts

    places, other_places = (
        choose_excerpts(some, wanted.excerpt_s, wanted.n_excerpts) if some else [] for some in (files, others)
    )
    loaded = load(model, device)
    about = {"model": model, **_identity(loaded, wanted, places, other_places)}
    records = _recorded(console, out, about, loaded, wanted, places, other_places)
    _finish(console, out, about, records, wanted)


def _identity(model: Model, wanted: Experiment, places: list[Excerpt], others: list[Excerpt]) -> dict[str, Any]:
    """What records of one folder have in common."""

    def listed(some: list[Excerpt]) -> list[str]:
        return [f"{place.path}@{place.start_s:.3f}" for place in some]

    shared = {
        name: value
        for name, value in asdict(wanted).items()
        if name not in ("conditions", "sampling", "figures", "over", "baseline")
    }
    made_by = {name: value for name, value in asdict(model.made_by).items() if name != "model"}
    figures = list(wanted.figures)
    return {**made_by, **shared, "figures": figures, "excerpts": listed(places), "reference": listed(others)}


def _recorded(
    console: Console,
    out: Path,
    about: dict[str, Any],
    model: Model,
    wanted: Experiment,
    places: list[Excerpt],
    others: list[Excerpt],
) -> list[Record]:
    """Records of earlier runs, and those that were lacking, each written as soon as it is made."""
    from vampcli.evaluate.run import Trial, append_records, done, read_records, reference_records

    setup, path = out / "setup.json", out / "records.jsonl"
    if setup.exists():
        _same_setup(json.loads(setup.read_text(encoding="utf-8")), about, out)
    setup.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    records = read_records(path)
    known = done(records)
    trial = Trial(model, wanted, places)
    total = trial.n_records + len(others)
    made = chain(trial.records(known), reference_records(others, model.grid.sample_rate, known))
    with console.progress("measuring") as progress:
        for record in append_records(path, made):
            records.append(record)
            if progress is not None:
                progress(len(records), total)
    return records


def _same_setup(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    for name, value in now.items():
        if before.get(name) != value:
            shown = "other ones" if isinstance(value, list) else f"{before.get(name)!r}, not {value!r}"
            raise InputError(f"{out} holds records of another run: {name} is {shown}", "name another folder with -o")


def _finish(console: Console, out: Path, about: dict[str, Any], records: list[Record], wanted: Experiment) -> None:
    from vampcli.cli.plots import experiment as plots
    from vampcli.evaluate.summary import summarize, write_tables

    rows = summarize(records, wanted.conditions, wanted.baseline)
    paths = write_tables(rows, out, about) + plots.draw(rows, out, wanted.over)
    console.table(*_table(rows))
    for row in rows:
        if row.n_failed:
            console.note(f"{row.label}: {row.n_failed} of {row.n_failed + row.n_excerpts} excerpts could not be made")
    for path in paths:
        console.result(str(path))


def _table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    from vampcli.evaluate.summary import cell, names_of

    names = names_of(rows)
    cells = [[row.label, *(cell(row, name) for name in names)] for row in rows]
    return ["condition", *(name.replace("_", " ") for name in names)], cells
