"""Data-parallel training in two processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from training import LOOP
from vampcli.errors import UsageError
from vampcli.train.loop import Task, Trainer
from vampcli.train.parallel import Processes, join_processes

N_STEPS = 6


class Noisy(Task):
    """Fit numbers to noise of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(5))
        self.unused = torch.nn.Parameter(torch.zeros(2))

    def loss(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        return ((self.weight - torch.from_numpy(rng.normal(1, 1, 5)).float()) ** 2).sum(), {}


class Both(Noisy):
    """The oracle: one process that draws what two would."""

    def loss(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, dict[str, float]]:
        losses = []
        for rank in range(2):
            own = np.random.default_rng([LOOP.seed, step, rank])
            own.integers(2**62)
            losses.append(super().loss(step, own)[0])
        return (losses[0] + losses[1]) / 2, {}


def be_one_of_two(folder: Path) -> None:
    """What each process runs: says its weights after an unbroken and after a resumed run, and who stopped."""
    processes, device = join_processes(torch.device("cpu"))
    torch.manual_seed(processes.rank)  # begins elsewhere; the main process's weights count
    straight = Trainer(Noisy(), LOOP, folder / "straight", device, processes)
    broken = Trainer(Noisy(), LOOP, folder / "broken", device, processes)
    broken.task.load_state_dict(straight.task.state_dict())
    losses = [straight.advance()["loss"] for _ in range(N_STEPS)]
    for _ in range(N_STEPS // 2):
        broken.advance()
    broken.save()
    processes.average([torch.zeros(1)], False)  # wait until it is written
    resumed = Trainer(Noisy(), LOOP, folder / "broken", device, processes)
    resumed.resume()
    stopped = []
    for step in range(N_STEPS // 2):
        resumed.advance(wish=step == 1 and processes.rank == 1)
        stopped.append(resumed.stopping)
    written = sorted(path.name for path in folder.iterdir())
    said = {
        "weights": [t.task.weight.tolist() for t in (straight, resumed)],
        "stopped": stopped,
        "written": written,
        "losses": losses,
    }
    (folder / f"said-{processes.rank}.json").write_text(json.dumps(said))


def test_two_processes_equal_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # What `accelerate launch --cpu --num_processes 2` sets, without the seconds its own start takes.
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "from pathlib import Path; from test_train_parallel import be_one_of_two; be_one_of_two(Path(sys.argv[1]))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    one, other = (json.loads((tmp_path / f"said-{rank}.json").read_text()) for rank in range(2))
    assert one["weights"] == other["weights"]
    assert one["weights"][0] == one["weights"][1]
    assert one["stopped"] == other["stopped"] == [False, True, False]
    torch.manual_seed(0)
    oracle = Trainer(Both(), LOOP, tmp_path / "oracle")
    losses = [oracle.advance()["loss"] for _ in range(N_STEPS)]
    means = [(first + second) / 2 for first, second in zip(one["losses"], other["losses"], strict=True)]
    assert means == pytest.approx(losses, rel=1e-5)  # the same batch in one process, but for rounding
    assert one["weights"][0] == pytest.approx(oracle.task.weight.tolist(), abs=1e-6)


def test_main_process_alone_writes(tmp_path: Path) -> None:
    class Second(Processes):
        rank, count = 1, 2

    trainer = Trainer(Noisy(), LOOP, tmp_path / "run", processes=Second())
    logged: list[dict[str, float]] = []
    trainer.run(1.0, logged.append)
    assert trainer.step == LOOP.steps
    assert logged == []
    assert not (tmp_path / "run").exists()


def test_one_process_needs_no_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    processes, device = join_processes(torch.device("cpu"))
    assert (processes.rank, processes.count, device) == (0, 1, torch.device("cpu"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="accelerate"):
        join_processes(torch.device("cpu"))
