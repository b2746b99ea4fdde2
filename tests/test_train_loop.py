"""Steps, averages, checkpoints, resuming."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from test_train_discriminators import run_with
from training import LOOP, Line, codec_run, token_run
from vampcli.errors import InputError, ModelError
from vampcli.train.codec_task import CodecTask
from vampcli.train.loop import LOG, SAMPLES, STATE, Task, Trainer
from vampcli.train.token_task import TokenTask


@pytest.mark.parametrize("kind", ["line", "codec", "judged from 2", "judged from 4", "coarse", "fine"])
def test_resumed_equals_uninterrupted(
    kind: str, prepared: Path, packed: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    def trainer(folder: str) -> Trainer:
        torch.manual_seed(0)
        task: Task = Line()
        if kind == "codec":
            task = CodecTask(codec_run(prepared))
        elif kind.startswith("judged"):  # by discriminators: one begins before the stop, one after
            task = CodecTask(run_with(prepared, int(kind[-1])))
        elif kind != "line":
            task = TokenTask(token_run(packed, tiny_folder, 2 if kind == "fine" else 0))
        return Trainer(task, LOOP, tmp_path / folder)

    straight, broken = trainer("a"), trainer("b")
    losses = [straight.advance()["loss"] for _ in range(6)]
    for _ in range(3):
        broken.advance()
    broken.save()
    resumed = trainer("b")
    resumed.resume()
    assert [resumed.advance()["loss"] for _ in range(3)] == losses[3:]
    straight.save()
    resumed.save()
    one, other = (load_file(tmp_path / folder / STATE) for folder in "ab")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_state_without_optimizer_is_adamws(tmp_path: Path) -> None:
    """States of earlier versions hold steps and seconds alone."""
    first = Trainer(Line(), LOOP, tmp_path)
    for _ in range(3):
        first.advance()
    first.save()
    save_file(load_file(tmp_path / STATE), tmp_path / STATE, {"step": "3", "seconds": "7.5"})
    later = Trainer(Line(), LOOP, tmp_path)
    later.resume()
    assert (later.step, later.seconds, later.core_seconds) == (3, 7.5, 7.5)
    assert later.advance() == first.advance()


def test_nan_keeps_last_good_weights(tmp_path: Path) -> None:
    task = Line()
    trainer = Trainer(task, LOOP, tmp_path)
    trainer.advance()
    task.poison = 1
    good = task.weight.detach().clone()
    with pytest.raises(ModelError, match="step 1") as caught:
        trainer.advance()
    assert "another seed" in caught.value.hint  # with the same one, the resumed step would be the same
    assert torch.equal(task.weight, good)


def test_averages_are_swapped_in_and_out(tmp_path: Path) -> None:
    trainer = Trainer(Line(), LOOP, tmp_path)
    for _ in range(5):
        trainer.advance()
    weight, average = trainer.task.weight.detach().clone(), trainer.average["weight"].clone()
    with trainer.averaged():
        assert torch.equal(trainer.task.weight, average)
    assert torch.equal(trainer.task.weight, weight)


def test_run_logs_validates_saves_and_stops(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    Trainer(Line(), replace(LOOP, validate_every=20), tmp_path).run(1.0, told.append)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(5, 41, 5))
    assert sum("validation_weight" in line for line in lines) == 2
    assert lines == told


def test_a_signal_saves_before_it_stops(tmp_path: Path) -> None:
    code = (
        "import sys, time, torch; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from training import Line; from vampcli.train.config import LoopConfig\n"
        "from vampcli.train.loop import Trainer\n"
        "trainer = Trainer(Line(), LoopConfig(steps=10**9, log_every=1), Path(sys.argv[1]))\n"
        "trainer.run(5, lambda _: print('step', flush=True))\n"
        "sys.exit(130 if trainer.interrupted else 0)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"step\n"
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert process.returncode == 130
    assert (tmp_path / STATE).is_file()


def test_sounds_have_averaged_weights(tmp_path: Path) -> None:
    class Sounding(Line):
        def sample(self, folder: Path, name: str) -> dict[str, float]:
            return {name: float(self.weight.sum()), str(folder): 0.0}

    trainer = Trainer(Sounding(), replace(LOOP, steps=6, sample_every=3, validate_every=0), tmp_path)
    told: list[dict[str, float]] = []
    trainer.run(1.0, told.append)
    assert [list(line)[2] for line in told if f"sample_{tmp_path / SAMPLES}" in line] == [
        "sample_step-000003",
        "sample_step-000006",
    ]
    assert told[-1]["sample_step-000006"] == pytest.approx(float(trainer.average["weight"].sum()), rel=1e-4)


def test_missing_or_damaged_state(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        Trainer(Line(), LOOP, tmp_path).resume()
    (tmp_path / STATE).write_bytes(b"no")
    with pytest.raises(InputError, match="damaged"):
        Trainer(Line(), LOOP, tmp_path).resume()


def test_every_step_is_told(tmp_path: Path) -> None:
    steps: list[dict[str, float]] = []
    Trainer(Line(), replace(LOOP, steps=7), tmp_path).run(1.0, lambda _: None, steps.append)
    assert len(steps) == 7
    assert all("loss" in figures for figures in steps)


def test_the_time_limit_stops_a_run(tmp_path: Path) -> None:
    trainer = Trainer(Line(), replace(LOOP, steps=10**9), tmp_path)
    trainer.run(0.001, lambda _: None)
    assert 0 < trainer.step < 10**6
    assert not trainer.interrupted
