"""Training on unusual data, and runs that change on the way: clear errors."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from test_train_discriminators import run_with
from training import LOOP, Line, codec_run, token_run
from vampcli.checkpoints.folder import Provenance
from vampcli.errors import InputError, UsageError
from vampcli.train.codec_task import CodecTask
from vampcli.train.config import CodecLossConfig, LoopConfig
from vampcli.train.data import MANIFEST, Pool, read_manifest, write_manifest
from vampcli.train.encode import pack, token_codec_hash
from vampcli.train.export import export
from vampcli.train.loop import STATE, Trainer
from vampcli.train.parallel import Processes
from vampcli.train.schedule import learning_rate
from vampcli.train.token_task import TokenTask


@pytest.fixture
def copied(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copied"))


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_folder_without_pieces(tmp_path: Path) -> None:
    write_manifest(tmp_path, [])
    with pytest.raises(InputError, match="no pieces"):
        Pool(tmp_path, "samples")
    with pytest.raises(InputError, match="no tokens"):
        token_codec_hash(tmp_path)


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '[{"author": "A"}]', "[", "\x00"])
def test_damaged_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match=MANIFEST):
        Pool(tmp_path, "samples")


@pytest.mark.parametrize("damage", [halve, Path.unlink])
def test_damaged_shard_is_named_and_repaired(
    copied: Path, prepared: Path, tiny_folder: Path, damage: Callable[[Path], None]
) -> None:
    path = copied / read_manifest(copied)[0]["file"]
    before = load_file(path)["codes"].clone()
    damage(path)
    with pytest.raises(InputError, match=f"{path.name} has no readable codes") as caught:
        TokenTask(token_run(copied, tiny_folder))
    assert "again" in caught.value.hint
    pack(prepared, tiny_folder, copied)
    assert torch.equal(load_file(path)["codes"], before)


def test_audio_in_place_of_tokens(prepared: Path, packed: Path, tiny_folder: Path) -> None:
    run = token_run(packed, tiny_folder)
    with pytest.raises(InputError, match="no tokens"):
        TokenTask(replace(run, data=replace(run.data, validation=str(prepared))))
    with pytest.raises(InputError, match="no tokens"):
        pack(prepared, tiny_folder, prepared)  # would write over the audio
    assert Pool(prepared, "samples").pieces


def test_one_piece_is_enough(copied: Path, tiny_folder: Path, tmp_path: Path) -> None:
    write_manifest(copied, read_manifest(copied)[:1])
    trainer = Trainer(TokenTask(token_run(copied, tiny_folder)), replace(LOOP, steps=2), tmp_path / "run")
    trainer.run(1.0, lambda _: None)
    assert trainer.step == 2


@pytest.mark.parametrize("schedule", ["linear", "constant"])
@pytest.mark.parametrize("warmup_steps", [0, 1, 50])
def test_learning_rates_with_warm_up(schedule: str, warmup_steps: int) -> None:
    config = LoopConfig(steps=5, warmup_steps=warmup_steps, schedule=schedule, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(5)]
    assert all(0 < rate <= 1 for rate in rates)
    if warmup_steps == 50:
        assert rates == pytest.approx([(step + 1) / 50 for step in range(5)])


@pytest.mark.parametrize("make", [
    lambda: LoopConfig(steps=0), lambda: LoopConfig(batch_size=0), lambda: CodecLossConfig(n_frames=0),
])  # fmt: skip
def test_zero_sizes_are_errors(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match="is 0"):
        make()


def test_resuming_a_finished_run(tmp_path: Path) -> None:
    trainer = Trainer(Line(), replace(LOOP, steps=3), tmp_path)
    trainer.run(1.0, lambda _: None)
    before = (tmp_path / STATE).stat().st_mtime_ns
    again = Trainer(Line(), replace(LOOP, steps=3), tmp_path)
    again.resume()
    again.run(1.0, lambda _: None)
    assert (again.step, (tmp_path / STATE).stat().st_mtime_ns) == (3, before)


def test_failed_first_step_saves_nothing(prepared: Path, tmp_path: Path) -> None:
    trainer = Trainer(CodecTask(codec_run(prepared, n_frames=500)), LOOP, tmp_path)
    with pytest.raises(InputError, match="longest piece"):
        trainer.run(1.0, lambda _: None)
    assert not (tmp_path / STATE).exists()


@pytest.mark.parametrize(("first", "later"), [(-1, 2), (100, -1)])
def test_discriminators_may_change_on_resuming(prepared: Path, tmp_path: Path, first: int, later: int) -> None:
    trainer = Trainer(CodecTask(run_with(prepared, first)), LOOP, tmp_path)
    for _ in range(2):
        trainer.advance()
    trainer.save()
    resumed = Trainer(CodecTask(run_with(prepared, later)), LOOP, tmp_path)
    resumed.resume()
    assert ("generator" in resumed.advance()) == (later == 2)
    resumed.save()
    again = Trainer(CodecTask(run_with(prepared, later)), LOOP, tmp_path)
    again.resume()
    one, other = again.task.state_dict(), resumed.task.state_dict()
    assert all(torch.equal(one[name], tensor) for name, tensor in other.items())


def test_state_of_another_run(prepared: Path, tmp_path: Path) -> None:
    trainer = Trainer(Line(), LOOP, tmp_path)
    trainer.advance()
    trainer.save()
    with pytest.raises(InputError, match="other sizes"):
        Trainer(CodecTask(codec_run(prepared)), LOOP, tmp_path).resume()
    save_file(load_file(tmp_path / STATE), tmp_path / STATE)  # without metadata
    with pytest.raises(InputError, match="how far"):
        Trainer(Line(), LOOP, tmp_path).resume()


@pytest.mark.parametrize("spoil", ["halve", "others", "nothing"])
def test_damaged_run_is_not_exported(
    prepared: Path, tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = codec_run(prepared)
    monkeypatch.setattr("vampcli.train.export.load_run", lambda *_: run)
    trainer = Trainer(Line() if spoil == "others" else CodecTask(run), LOOP, tmp_path / "run")
    trainer.save()
    if spoil == "halve":
        halve(tmp_path / "run" / STATE)
    if spoil == "nothing":
        (tmp_path / "run" / STATE).unlink()
    with pytest.raises(InputError, match=r"damaged|no training state"):
        export(tmp_path / "out", Provenance("x", "MIT", ""), tmp_path / "run")
    assert not (tmp_path / "out").exists()


class Recording(Processes):
    """The first of two processes; records the shapes that it shares."""

    rank, count = 0, 2

    def __init__(self) -> None:
        self.sent: list[list[tuple[int, ...]]] = []

    def share(self, tensors: Any) -> None:
        self.sent.append([tuple(tensor.shape) for tensor in tensors])


def test_only_rewritten_tensors_are_shared(prepared: Path, tmp_path: Path) -> None:
    fitted = Recording()
    task = CodecTask(codec_run(prepared, n_frames=6))
    trainer = Trainer(task, LOOP, tmp_path, processes=fitted)
    for _ in range(2):
        trainer.advance()
    assert fitted.sent[1:] == [[tuple(t.shape) for t in task.codec.state_dict().values()], []]
