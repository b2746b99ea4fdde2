"""Learning that is stopped, killed and resumed; a disk that is full."""

import importlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from conftest import full_disk, limited, tiny_parts
from training import token_run
from vampcli.checkpoints.weights import load_parts, save_parts
from vampcli.errors import InputError, UsageError
from vampcli.train.config import TokenRun, load_run
from vampcli.train.loop import STATE, Trainer
from vampcli.train.token_task import TokenTask

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def learning(
    monkeypatch: pytest.MonkeyPatch, packed: Path, tiny_folder: Path, tmp_path: Path
) -> Iterator[tuple[ModuleType, Path]]:
    """The script, with the tiny model as the promoted one, and a home that has tokens."""
    monkeypatch.syspath_prepend(SCRIPTS)
    script = importlib.import_module("learn")
    root, home = tmp_path / "root", tmp_path / "home"
    run = token_run(packed, tiny_folder)
    loop = replace(run.loop, optimizer="muon", steps=12, validate_every=4, schedule="constant", save_every_s=0.0)
    sizes = tiny_parts().coarse.config
    (root / "configs").mkdir(parents=True)
    text = script.as_toml(replace(run, model=sizes, n_frames=30, loop=loop, start="m"))
    (root / "configs/learn-coarse.toml").write_text(text)
    (home / "music").mkdir(parents=True)
    (home / "coarse").mkdir()
    for split in ("train", "val"):
        (home / f"music/tokens-{split}").symlink_to(packed)
    monkeypatch.setattr(script, "ROOT", root)
    monkeypatch.setattr(script, "MINI", tiny_folder)
    yield script, home
    for name in ("learn", "train_packed", "pack", "pieces"):
        sys.modules.pop(name, None)


def state(home: Path) -> dict[str, torch.Tensor]:
    return load_file(home / "coarse" / STATE)


def test_start_and_seed_follow_promoted_weights(learning: tuple[ModuleType, Path]) -> None:
    script, home = learning
    run = script.fresh_run(home, "coarse")
    other = load_parts(script.MINI, torch.device("cpu"), torch.float32)
    with torch.no_grad():
        other.coarse.classifier.bias += 1
    script.MINI = home / "other"
    save_parts(script.MINI, "magnitude", other)
    assert run.start != str(script.MINI)
    assert run.loop.seed not in (0, script.fresh_run(home, "coarse").loop.seed)
    config = script.ROOT / "configs/learn-coarse.toml"
    config.write_text(config.read_text().replace("width = ", "width = 1"))
    assert script.fresh_run(home, "coarse").start == ""


def test_killed_run_resumes_without_a_trace(learning: tuple[ModuleType, Path], tmp_path: Path) -> None:
    """Killed after a save and some steps more; resumed, it equals one that never stopped, to the bit."""
    script, home = learning
    script.learn(home, "coarse")
    straight = state(home)
    run = load_run(home / "coarse/run.toml", TokenRun)
    (home / "coarse" / STATE).unlink()
    killed = Trainer(TokenTask(run), run.loop, home / "coarse")
    for step in range(7):
        killed.advance()
        if step == 4:
            killed.save()
    script.learn(home, "coarse")
    resumed = state(home)
    assert any(".momentum_buffer." in name for name in straight)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_state_of_another_optimizer_is_refused(learning: tuple[ModuleType, Path]) -> None:
    script, home = learning
    script.learn(home, "coarse")
    run = load_run(home / "coarse/run.toml", TokenRun)
    loop = replace(run.loop, optimizer="adamw")
    with pytest.raises(InputError, match="muon"):
        Trainer(TokenTask(replace(run, loop=loop)), loop, home / "coarse").resume()


def test_torch_without_muon_is_an_error(learning: tuple[ModuleType, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    script, home = learning
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(UsageError, match="no Muon"):
        script.learn(home, "coarse")


def test_core_hours_and_losses_add_up(learning: tuple[ModuleType, Path]) -> None:
    script, home = learning
    script.learn(home, "coarse")
    with safe_open(str(home / "coarse" / STATE), "pt") as file:
        first = float(file.metadata()["core_seconds"])
    run_file = home / "coarse/run.toml"
    run_file.write_text(run_file.read_text().replace("steps = 12", "steps = 16"))
    script.learn(home, "coarse")
    with safe_open(str(home / "coarse" / STATE), "pt") as file:
        assert float(file.metadata()["core_seconds"]) > first > 0
    lines = (home / "coarse" / script.LOSSES).read_text().splitlines()
    assert [line.split("step ")[1].split(",")[0] for line in lines] == ["4", "8", "12", "16"]
    assert "90% " in lines[0]
    assert lines[-1] in script.status(home, "coarse")


def test_full_disk_keeps_the_last_state(learning: tuple[ModuleType, Path]) -> None:
    script, home = learning
    script.learn(home, "coarse")
    whole = (home / "coarse" / STATE).read_bytes()
    run_file = home / "coarse/run.toml"
    run_file.write_text(run_file.read_text().replace("steps = 12", "steps = 16"))
    with limited(resource.RLIMIT_FSIZE, len(whole) // 2), pytest.raises(InputError, match="cannot write"):
        script.learn(home, "coarse")
    assert (home / "coarse" / STATE).read_bytes() == whole
    assert not list((home / "coarse").glob(".*partial"))


def test_full_disk_under_the_log(learning: tuple[ModuleType, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    script, home = learning
    monkeypatch.setattr(Trainer, "_record", full_disk)
    with pytest.raises(InputError, match="No space left"):
        script.learn(home, "coarse")
    assert state(home)


def test_stop_exports_the_averages_and_compares(
    learning: tuple[ModuleType, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    script, home = learning
    script.learn(home, "coarse")
    script.stop(home, "coarse")
    promoted, new, *_ = capsys.readouterr().err.splitlines()
    assert promoted.startswith("promoted ")
    assert new.endswith("coarse-12")
    made = load_parts(home / "models/coarse-12", torch.device("cpu"), torch.float32)
    average = state(home)["average.model.classifier.weight"]
    assert torch.allclose(made.coarse.classifier.weight, average, atol=1e-3)
    assert made.fine is not None
    assert (home / "models/coarse-12/CREDITS.md").is_file()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a process that outlives its Popen
def test_process_starts_once_and_stops(learning: tuple[ModuleType, Path]) -> None:
    """The whole way, with a stand-in for the clone whose script sleeps."""
    script, home = learning
    clone = home / "clone"
    (clone / "scripts").mkdir(parents=True)
    (clone / "scripts/learn.py").write_text("import time; time.sleep(60)")
    script.cloned = lambda _: clone
    script.start(home, "coarse", None)
    pid = script.learner(home / "coarse")
    assert pid
    script.start(home, "coarse", None)
    assert script.learner(home / "coarse") == pid
    os.killpg(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[0] == pid
    assert script.learner(home / "coarse") is None
    assert "no process learns" in script.status(home, "coarse")
