"""One experiment under several models: folders of `vamp eval run`, a row for each model and condition.

vamp eval run configs/eval/masking.toml -m runs/equal/half … -o runs/masking/half
vamp eval run configs/eval/masking.toml -m runs/equal/cosine … -o runs/masking/cosine
python experiments/side_by_side.py configs/eval/masking.toml runs/masking/cosine runs/masking/half

In brackets by how much a figure is above that of the first folder, over the same excerpts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vampcli.evaluate.run import REFERENCE, read_records
from vampcli.evaluate.spec import Condition, Experiment, read_experiment
from vampcli.evaluate.summary import Row, markdown, summarize


def compared(experiment: Experiment, folders: Sequence[Path]) -> list[Row]:
    """A row for each condition and folder."""
    found = {folder.name: read_records(folder / "records.jsonl") for folder in folders}
    first, rows = folders[0].name, []
    reference = [record for record in found[first] if record["condition"] == REFERENCE]
    for condition in experiment.conditions:
        ways = {name: _under(condition, name) for name in found}
        own = [
            {**record, "condition": ways[name].key}
            for name, records in found.items()
            for record in records
            if record["condition"] == condition.key
        ]
        rows += summarize([*own, *reference], list(ways.values()), ways[first].label)
    return rows


def _under(condition: Condition, model: str) -> Condition:
    """The same for a model: a condition of its own."""
    name, request = f"{condition.label}, {model}", {**condition.request, "model": model}
    return replace(condition, name=name, request=request, swept={})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    sys.stdout.write(markdown(compared(read_experiment(given.experiment), given.folders)))


if __name__ == "__main__":
    main()
