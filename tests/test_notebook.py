"""Takes in notebooks: what they show, and the example, executed."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from conftest import music
from vampcli import Waveform
from vampcli.api import Model, Take

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def take(tiny: Model) -> Take:
    return tiny.inpaint(Waveform(music(2, 44100).astype(np.float32), 44100), [(0.5, 1.0)], seed=3)[0]


def sounds(html: str) -> list[np.ndarray]:
    return [
        sf.read(io.BytesIO(base64.b64decode(one)))[0] for one in re.findall(r'src="data:audio/\w+;base64,(.+?)"', html)
    ]


def test_take_shows_itself(take: Take) -> None:
    html = take._repr_html_()
    before, after = sounds(html)
    np.testing.assert_allclose(before, take.base.samples[0], atol=0.2)
    assert np.corrcoef(after, take.audio.samples[0])[0, 1] > 0.95
    assert "inpaint, seed 3" in html
    assert '<rect x="150.00" width="150.00"' in html  # a quarter of 600 columns
    assert "<script" not in html


def test_silent_original_has_no_player(take: Take) -> None:
    silent = replace(take.base, samples=np.zeros_like(take.base.samples))
    assert len(sounds(replace(take, base=silent)._repr_html_())) == 1


def test_example_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient: pip install nbclient ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient: pip install nbclient ipykernel")
    (tmp_path / "short.wav").write_bytes((EXAMPLES / "short.wav").read_bytes())
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown: list[Any] = [out.data.get("text/html", "") for cell in notebook.cells for out in cell.get("outputs", [])]
    assert sum("<audio" in html for html in shown) == 2
    steps = [re.fullmatch(r'<progress .*value="(\d+)" max="\1".*', html) for html in shown]
    assert sum(map(bool, steps)) == 1  # the bar ends full
    assert (tmp_path / "take.wav").is_file()
