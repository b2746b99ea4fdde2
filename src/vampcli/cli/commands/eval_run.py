"""`vamp eval run`: excerpts re-made under many conditions, measured, as a table and plots."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vampcli.cli import options as o
from vampcli.cli.console import Console
from vampcli.cli.eval_inputs import EvalOptions, files_of
from vampcli.errors import InputError, UsageError
from vampcli.files import write_text
from vampcli.reading import read_json
from vampcli.schema import shown

if TYPE_CHECKING:
    from vampcli.api import Model
    from vampcli.evaluate.excerpts import Excerpt
    from vampcli.evaluate.run import Record
    from vampcli.evaluate.spec import Experiment


def run(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="TOML file of conditions.")],
    evaluation: EvalOptions,
    out: Annotated[Path, o.value("Folder of records, table and plots.", "-o", "--out", metavar="FOLDER")] = Path(
        "eval"
    ),
    reference: Annotated[
        list[Path] | None, o.value("Other real music to measure distances to; repeat for more.", metavar="PATH")
    ] = None,
    reference_split: Annotated[str, o.value("Rows of the table to measure distances to.", metavar="NAME")] = "",
    excerpts: Annotated[
        int | None,
        o.value("Number of excerpts of all recordings.", "-n", "--excerpts", min=1, show_default="the file's"),
    ] = None,
    device: o.Device = "auto",
) -> None:
    """Re-make excerpts under the conditions of a TOML file, and measure the results.

    Continues an earlier run in the same folder. Prints the paths of table and plots.

    Example: vamp eval run configs/eval/quick.toml held-out/ -o runs/quick
    """
    console, model = evaluation.console, evaluation.model
    from vampcli.evaluate.measures import EMBEDDING, check_packages
    from vampcli.evaluate.spec import read_experiment

    wanted = read_experiment(experiment, {} if excerpts is None else {"excerpts": excerpts})
    files = evaluation.files
    if reference and reference_split:
        raise UsageError("both --reference and --reference-split", "name one of them")
    others = files_of([], evaluation.table, evaluation.root, reference_split) if reference_split else []
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

    chosen, other_excerpts = (
        choose_excerpts(some, wanted.excerpt_s, wanted.excerpts) if some else [] for some in (files, others)
    )
    loaded = load(model, device)
    about = {"model": model, **_identity(loaded, wanted, chosen, other_excerpts)}
    records = _recorded(console, out, about, loaded, wanted, chosen, other_excerpts)
    _finish(console, out, about, records, wanted)


def _identity(model: Model, wanted: Experiment, excerpts: list[Excerpt], others: list[Excerpt]) -> dict[str, Any]:
    """Properties that all records of a folder share."""

    def listed(some: list[Excerpt]) -> list[str]:
        return [f"{one.path}@{one.start_s:.3f}" for one in some]

    shared = {
        name: value
        for name, value in asdict(wanted).items()
        if name not in ("conditions", "sampling", "figures", "over", "baseline")
    }
    made_by = {name: value for name, value in asdict(model.made_by).items() if name != "model"}
    figures = list(wanted.figures)
    return {**made_by, **shared, "figures": figures, "excerpts": listed(excerpts), "reference": listed(others)}


def _recorded(
    console: Console,
    out: Path,
    about: dict[str, Any],
    model: Model,
    wanted: Experiment,
    excerpts: list[Excerpt],
    others: list[Excerpt],
) -> list[Record]:
    """Records of earlier runs, and the missing ones, each written at once."""
    from vampcli.evaluate.run import Trial, append_records, done, read_records, reference_records

    setup, path = out / "setup.json", out / "records.jsonl"
    if setup.exists():
        before = read_json(setup, cure="name another folder with -o")
        if not isinstance(before, dict):
            raise InputError(f"{setup} is damaged: it holds no table", "name another folder with -o")
        _same_setup(before, about, out)
    write_text(setup, json.dumps(about, indent=1) + "\n")
    records = read_records(path)
    known = done(records)
    trial = Trial(model, wanted, excerpts)
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
            other = "other ones" if isinstance(value, list) else f"{shown(before.get(name))}, not {value!r}"
            raise InputError(f"{out} holds records of another run: {name} is {other}", "name another folder with -o")


def _finish(console: Console, out: Path, about: dict[str, Any], records: list[Record], wanted: Experiment) -> None:
    from vampcli.cli.plots import experiment as plots
    from vampcli.evaluate.summary import summarize, table_of, write_tables

    rows = summarize(records, wanted.conditions, wanted.baseline)
    paths = write_tables(rows, out, about) + plots.draw(rows, out, wanted.over)
    console.table(*table_of(rows))
    for row in rows:
        if row.n_failed:
            console.note(f"{row.label}: {row.n_failed} of {row.n_failed + row.n_excerpts} excerpts could not be made")
    for path in paths:
        console.result(str(path))
