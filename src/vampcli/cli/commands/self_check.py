"""`vamp eval self-check`: is a model well?"""

from __future__ import annotations

from dataclasses import asdict

from vampcli.cli import options as o
from vampcli.cli.console import Console, guarded
from vampcli.cli.eval_inputs import Audio, Root, Split, Table, files_of
from vampcli.errors import ModelError

_MOST_FILES, _EACH_S = 4, 15.0


@guarded
def self_check(
    audio: Audio = None,
    model: o.ModelName = "mini",
    table: Table = None,
    root: Root = None,
    split: Split = "val",
    device: o.Device = "auto",
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Say in under a minute whether a model is well: use of its codes, levels, silence, clipping, losses.

    A few recordings are enough; the first 15 s of four are listened to. One JSON object on stdout; exit code 4 if it is
    not well.

    Example: vamp eval self-check -m mini song.wav
    """
    console = Console(quiet, verbose)
    files = files_of(audio or [], table, root, split)
    from vampcli.api import load
    from vampcli.checkpoints import registry
    from vampcli.evaluate.excerpts import load_clip
    from vampcli.evaluate.selfcheck import losses_of_card, self_check

    folder, loaded = registry.find(model), load(model, device)
    some = files[:: -(-len(files) // _MOST_FILES)]
    clips = [load_clip(path, loaded.grid.sample_rate, _EACH_S) for path in some]
    checks = self_check(loaded, clips, losses_of_card(folder))
    rows = [[c.name, f"{c.value:.3g}", f"{c.limit:.3g}", "well" if c.is_well else "NOT WELL"] for c in checks]
    console.table(["", "found", "limit", ""], rows)
    ill = [check.name for check in checks if not check.is_well]
    console.result({"model": model, "healthy": not ill, "checks": [asdict(check) for check in checks]})
    if ill:
        raise ModelError(f"{model} is not well: {', '.join(ill)}", "if these recordings are music, train it again")
