"""Measure everything, and write it into docs/explanation/performance.md: `python -m benchmarks`, or `make bench`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from benchmarks import bench, report
from benchmarks.bench import PUBLISHED, ROOT, Bench

PARTS = ("same", "stages", "takes", "commands", "growth")
_ON_ONE_THREAD = ("same", "stages")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run each part in a separate process, then write the page."""
    parser = bench.options("How fast vamp is, against a plain version in the same run.")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help=f"of {','.join(PARTS)}")
    parser.add_argument("--models", default=f"mini,{PUBLISHED}", help="names or folders; published: random weights")
    parser.add_argument("--out", type=Path, help="folder of the page [default: docs/explanation; --quick: --cache]")
    parser.add_argument(
        "--versus", type=Path, metavar="CHECKOUT", help="only compare whole commands with another checkout"
    )
    asked = parser.parse_args(arguments)
    own = bench.from_options(asked)
    if asked.versus:
        for model in asked.models.split(","):
            whole = [*command("versus", model, own), str(asked.versus)]
            subprocess.run(whole, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        return
    for part, model in jobs(asked.only.split(","), asked.models.split(","), own.device):
        began = time.monotonic()
        sys.stderr.write(f"{part} of {Path(model).name} … ")
        sys.stderr.flush()
        threads = {"OMP_NUM_THREADS": "1"} if part in _ON_ONE_THREAD else {}
        subprocess.run(
            command(part, model, own),
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE", **threads},
        )
        sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    page = report.write(own.raw_folder, asked.out or (own.cache if own.quick else report.DOCS))
    sys.stdout.write(f"{page}\n")


def jobs(parts: Sequence[str], models: Sequence[str], device: str) -> Iterator[tuple[str, str]]:
    """Parts and models; how the published sizes grow would take hours on a CPU."""
    for part, model in product(parts, models):
        if (part, model, device) != ("growth", PUBLISHED, "cpu"):
            yield part, model


def command(part: str, model: str, own: Bench) -> list[str]:
    """Return the command of a part, with the options that are not default."""
    options = ["--model", model, "--device", own.device, "--runs", str(own.n_runs)]
    if own.extra:
        options.append(f"--fast={' '.join(own.extra)}")
    if own.quick:
        options.append("--quick")
    return [sys.executable, "-m", f"benchmarks.{part}", *options, "--cache", str(own.cache)]


if __name__ == "__main__":
    main()
