"""Takes of a window, and those that lie in a folder, found by their recipes."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vampcli.audio.find import SOUNDS
from vampcli.errors import InputError
from vampcli.recipe.embed import recipe_of
from vampcli.recipe.recipe import Recipe
from vampcli.ui.order import Made
from vampcli.ui.worker import Run

_MOST_FILES = 2000  # of a folder that are searched for takes


@dataclass
class TakeFile:
    """A take of a window.

    Attributes:
        id: in the window.
        made: the file, which stays until the server ends.
        spans: sample ranges that were generated.
        n_samples: its length.
        group: takes of one group have the same time line; `recording` is that of the recording.
        command: the shell command that makes it.
        run: that made it; None = it is of the history.
        kept: the file beside the recording.
        facts: loudness and scores, once they are measured.
    """

    id: str
    made: Made
    spans: tuple[tuple[int, int], ...]
    n_samples: int
    group: str
    command: str
    run: Run | None = None
    kept: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        shared = {name: getattr(self, name) for name in ("id", "spans", "n_samples", "group", "command")}
        return {
            **shared,
            "name": self.made.path.name,
            "seed": self.made.seed,
            "run": self.run and self.run.id,
            "kept": self.kept and str(self.kept),
            "identical": self.made.facts.get("identical"),
            "sources": self.made.facts.get("sources", []),
            **{"facts": self.facts},
        }


def find_takes(folder: Path, sha256: str) -> list[tuple[Path, Recipe]]:
    """Return the takes in a folder whose recipes name a recording, the latest first.

    Args:
        folder: searched without those in it.
        sha256: of the samples of the recording.
    """
    found = []
    for path in itertools.islice(sorted(folder.iterdir()), _MOST_FILES):
        if path.suffix.lower() in SOUNDS and path.is_file():
            with suppress(InputError):
                recipe = recipe_of(path)
                if recipe and recipe.source.sha256 == sha256:
                    found.append((path, recipe))
    return sorted(found, key=lambda one: -one[0].stat().st_mtime)


def history_facts(found: list[tuple[Path, Recipe]]) -> list[dict[str, Any]]:
    """Return what the page shows of takes of the history."""
    return [
        {
            "name": path.name,
            "command": recipe.command,
            "seed": recipe.seed,
            "spans": recipe.synthetic,
            "sampling": asdict(recipe.sampling),
        }
        for path, recipe in found
    ]
