"""Runs in TOML, and how the learning rate follows them."""

from pathlib import Path

import pytest
import torch

from training import LOOP
from vampcli.errors import UsageError
from vampcli.train.config import CodecRun, LoopConfig, TokenRun, load_run
from vampcli.train.schedule import autocast_dtype, learning_rate


def test_a_run_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[data]\ntrain = "a"\nvalidation = "b"\n[loop]\nn_steps = 7\n')
    run = load_run(tmp_path / "run.toml", CodecRun)
    assert (run.data.train, run.loop.steps, run.loop.batch_size) == ("a", 7, LoopConfig().batch_size)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[data]\ntrain="a"\nvalidation="b"\nspeed=1', "speed"),
        ("[wrong]\nx=1", "wrong"),
        ('[data]\ntrain="a"', "validation"),
        ("=", "not TOML"),
        ('[data]\ntrain="a"\nvalidation="b"\n[loop]\nlearning_rate="1e-3"', "learning_rate is '1e-3'"),
        ('[data]\ntrain="a"\nvalidation="b"\n[loop]\nsteps=1e5', "steps is 100000.0"),
        ('[data]\ntrain="a"\nvalidation="b"\n[discriminators]\nbands=0.5', "bands is 0.5"),
        ('[data]\ntrain="a"\nvalidation="b"\n[loop]\nschedule="cosine"', "schedule is 'cosine'"),
        ('[codec]\nkind="dac"\n[data]\ntrain="a"\nvalidation="b"', "the codec is of the kind 'dac'"),
        ('data="a"', "data is 'a'"),
        ('[data.train]\nx="a"', "train is {'x': 'a'}"),
    ],
)
def test_a_bad_run_names_the_key(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        load_run(tmp_path / "run.toml", CodecRun)


@pytest.mark.parametrize("name", ["codec", "coarse", "fine"])
def test_shipped_runs_are_valid(name: str) -> None:
    path = Path(__file__).parents[1] / f"configs/mini-{name}.toml"
    run = load_run(path, CodecRun if name == "codec" else TokenRun)
    assert run.loop.decay_from < run.loop.steps
    if isinstance(run, TokenRun):
        assert run.n_frames <= run.model.context_frames


def rates(**values: object) -> list[float]:
    config = LoopConfig(**{"steps": 100, "learning_rate": 1.0, "warmup_steps": 10, **values})  # type: ignore[arg-type]
    return [learning_rate(config, step) for step in range(100)]


def test_linear_rate_rises_stays_and_falls() -> None:
    rate = rates(decay_from=50)
    assert rate[0] == pytest.approx(0.1)
    assert rate[9:51] == [1.0] * 42
    assert rate[75] == pytest.approx(0.5)
    assert 0 < rate[99] < 0.05


def test_constant_rate_never_falls() -> None:
    assert rates(schedule="constant", decay_from=50)[9:] == [1.0] * 91


@pytest.mark.parametrize("values", [{"decay_from": 10, "steps": 10}, {"decay_from": 200_000}])
def test_contradicting_loops(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        LoopConfig(**values)  # type: ignore[arg-type]


def test_precision_is_one_the_hardware_multiplies() -> None:
    cpu = torch.device("cpu")
    assert autocast_dtype("fp32", cpu) is None
    assert autocast_dtype("bf16", cpu) == torch.bfloat16
    assert autocast_dtype(LOOP.dtype, cpu) in (None, torch.bfloat16)
    with pytest.raises(UsageError, match="fp16"):
        autocast_dtype("fp16", cpu)
