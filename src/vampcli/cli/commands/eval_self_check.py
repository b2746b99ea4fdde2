"""`vamp eval self-check`: quick sanity checks of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vampcli.cli import options as o
from vampcli.cli.eval_inputs import EvalOptions, Split
from vampcli.errors import ModelError

_MOST_FILES, _EACH_S = 4, 15.0


@dataclass(frozen=True)
class SelfCheckOptions(EvalOptions):
    """The same, with the validation rows by default."""

    split: Split = "val"


def self_check(evaluation: SelfCheckOptions, device: o.Device = "auto") -> None:
    """Check a model in under a minute: code use, levels, silence, clipping and losses.

    Reads 15 s of up to four recordings. Prints one JSON object; exit code 4 if a check fails.

    Example: vamp eval self-check -m mini song.wav
    """
    console, model, files = evaluation.console, evaluation.model, evaluation.files
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
