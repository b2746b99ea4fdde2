"""A slice of the fuzzing: `make fuzz` runs more."""

import os
import sys
from itertools import islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from run import escapes
from targets import TARGETS

CASES = {"config": 30, "adapters": 30, "toml": 40}


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_raise_errors_of_ours(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert list(islice(escapes(TARGETS[name], range(CASES.get(name, 100)), tmp_path), 5)) == []
