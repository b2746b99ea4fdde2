"""Recipes, model folders and TOML files with older names of settings are read, and replayed to the sample."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Vamp
from vampcli import SamplingConfig, read
from vampcli.audio.read import read_comment
from vampcli.checkpoints.folder import CONFIG, model_config
from vampcli.config import MemoryConfig, MusicalSpan, TempoConfig
from vampcli.evaluate.spec import read_experiment
from vampcli.old_names import NAMES, renamed, with_new_names
from vampcli.recipe.embed import recipe_of
from vampcli.recipe.recipe import from_text, to_text
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.registry import task_from_table
from vampcli.tasks.spans import SpanRequest
from vampcli.train.config import TokenRun, load_run

OLD = Path(__file__).parent / "data/old_names"
SHORT = Path(__file__).parents[1] / "examples/short.wav"
ANEW = {
    "inpaint.wav": "inpaint --steps 2 --span 1-1.2 --context 0.5 --only-generated",
    "vamp.flac": "vamp --steps 2 --fine-steps 1 --span 1-1.2 --beats --beat-width 60 --bpm 120 --downbeat 0.1 "
    "--keep-codebooks 3 --feedback 2 --prefix 0.02 --edit off --only-generated",
    "compress.vamp": "compress --steps 2 --keep-codebooks 2 --period 4",
}
"""The commands that made the results in OLD."""


@pytest.mark.parametrize("name", ANEW)
def test_old_results_are_replayed(vamp: Vamp, tmp_path: Path, name: str) -> None:
    again, anew = tmp_path / f"again-{name}", tmp_path / name
    assert vamp("replay", OLD / name, "--input", SHORT, "-o", again).code == 0
    command, *options = ANEW[name].split()
    old = recipe_of(OLD / name)
    assert old is not None
    assert vamp(command, SHORT, *options, "--seed", 1, "--dtype", old.made_by.dtype, "-o", anew).code == 0
    one, two = recipe_of(again), recipe_of(anew)
    assert one is not None
    assert two is not None
    requests = [{key: value for key, value in made.request.items() if key != "edit"} for made in (one, two, old)]
    assert requests[0] == requests[1] == requests[2]
    assert (one.sampling, one.seed) == (two.sampling, two.seed)
    assert old.sampling == one.sampling
    if name.endswith(".vamp"):
        return
    assert np.array_equal(read(again).samples, read(anew).samples)
    same_model = one.made_by.model_sha256 == old.made_by.model_sha256
    if same_model and torch.__version__ == old.made_by.torch:  # other kernels may differ in the last bit
        assert np.allclose(read(again).samples, read(OLD / name).samples, atol=1e-3)


def test_the_seal_of_an_old_recipe_holds() -> None:
    text = read_comment(OLD / "vamp.flac")
    assert '"n_kept_codebooks": 3' in text
    found = from_text(text, "a.flac")
    assert found is not None
    assert found.sampling.fine_steps == 1
    assert from_text(to_text(found), "again") == found


def test_requests_with_old_names() -> None:
    places = {"spans": [[1, 2], {"unit": "bars", "first": 1, "last": 2}], "tempo": {"downbeat_s": 0.5}, "snap": None}
    memory = {"trust": 0.5, "place_s": 3.0, "files": ["b.wav"], "sources": None}
    old = {
        "inpaint": {"places": places, "context_s": 2.0, "memory": memory},
        "outpaint": {"after_s": 1.0, "before_s": 2.0, "memory": {"trust": 0.0}},
        "loop": {"seam_s": 0.2, "repeats": 2},
    }
    span = SpanRequest(((1, 2), MusicalSpan("bars", 1, 2)), TempoConfig(downbeat=0.5))
    found = [task_from_table(command, with_new_names(table), "here") for command, table in old.items()]
    assert found == [
        Inpaint(span, context=2.0, memory=MemoryConfig(0.5, place=3.0, memory_from=("b.wav",))),
        Outpaint(1.0, 2.0, memory=MemoryConfig(0.0)),
        Loop(repeats=2, seam=0.2, memory=MemoryConfig(0.0)),
    ]


def test_model_folder_with_old_names(tiny_folder: Path, tmp_path: Path) -> None:
    table = json.loads((tiny_folder / CONFIG).read_text()) | {"sampling": {"n_steps": 3, "n_fine_steps": 4}}
    (tmp_path / CONFIG).write_text(json.dumps(table))
    assert model_config(tmp_path).sampling == SamplingConfig(steps=3, fine_steps=4)


def test_experiment_with_old_names(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    path.write_text(
        'n_takes = 2\nn_excerpts = 3\nbaseline = "a: n_steps 2"\nsampling.n_fine_steps = 1\n'
        '[[conditions]]\nname = "a"\nsampling.n_fine_steps = 5\nsweep."sampling.n_steps" = [1, 2]\n'
        "request.prompt.n_kept_codebooks = 4"
    )
    found = read_experiment(path)
    assert (found.takes, found.excerpts, found.baseline) == (2, 3, "a: steps 2")
    assert [one.config for one in found.conditions] == [SamplingConfig(n, 5) for n in (1, 2)]
    assert found.conditions[0].request == {"prompt": {"keep_codebooks": 4}}


def test_training_run_with_old_names(tmp_path: Path) -> None:
    old = Path(__file__).parents[1] / "configs/mini-coarse.toml"
    path = tmp_path / "old.toml"
    path.write_text(old.read_text().replace("\nsteps =", "\nn_steps ="))
    assert "\nn_steps =" in path.read_text()
    assert load_run(path, TokenRun) == load_run(old, TokenRun)


def test_old_names_in_set(vamp: Vamp, tmp_path: Path) -> None:
    made = tmp_path / "made.wav"
    ran = vamp("replay", OLD / "inpaint.wav", "--input", SHORT, "--set", "n_steps=1", "-o", made)
    assert ran.code == 0, ran.err
    found = recipe_of(made)
    assert found is not None
    assert found.sampling.steps == 1


def test_a_table_with_both_names_keeps_the_old_one() -> None:
    assert with_new_names({"n_steps": 1, "steps": 2}) == {"n_steps": 1, "steps": 2}


def test_new_names_stay() -> None:
    assert not set(NAMES) & set(NAMES.values())
    assert renamed("request.prompt.n_kept_codebooks") == "request.prompt.keep_codebooks"
