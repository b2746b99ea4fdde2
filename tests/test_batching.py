"""Batches and lanes give the same logits, in order."""

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from clips import QUICK, clip
from vampcli.api import Model, load
from vampcli.config import PromptConfig
from vampcli.model.batching import Batches, Forward, Input, _threads, one_core_threads
from vampcli.tasks.regenerate import generate
from vampcli.tasks.take import Stereo

# rows of a table do not depend on the number of threads; products may
TABLE = torch.randn(11, 10, generator=torch.Generator().manual_seed(0))


class Spy:
    """A model that records its calls; logits of windows of odd length depend on the number of threads."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, int, bool]] = []  # in a lane, threads, inference mode

    def __call__(self, tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        is_lane = threading.current_thread().name.startswith("lane")
        self.calls.append((is_lane, torch.get_num_threads(), torch.is_inference_mode_enabled()))
        if (tokens == 0).all():
            raise RuntimeError("no such window")
        return TABLE[tokens[:, 1:, wanted]] + tokens.shape[-1] % 2 * torch.get_num_threads()


def windows(n: int, n_frames: int = 8) -> list[Input]:
    """Random windows, of which all frames but the first are wanted."""
    generator = torch.Generator().manual_seed(n)
    return [Input(torch.randint(11, (1, 3, n_frames), generator=generator), slice(1, n_frames)) for _ in range(n)]


def run(batches: Batches, inputs: list[Input], forward: Forward) -> list[Tensor]:
    return list(batches.run(forward, iter(inputs), len(inputs)))


def equal(logits: list[Tensor], inputs: list[Input]) -> bool:
    """Return whether logits are those of all threads, window by window."""
    return all(torch.equal(one, window.run(Spy())) for one, window in zip(logits, inputs, strict=True))


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("n_lanes", [1, 2, 3])
@pytest.mark.usefixtures("two_threads")
def test_lanes_give_the_same_logits(n: int, n_lanes: int) -> None:
    inputs = [*windows(n), *windows(n, 7), *windows(n)]
    assert equal(run(Batches(1, n_lanes), inputs, Spy()), inputs)


@pytest.mark.usefixtures("two_threads")
def test_lanes_have_one_thread() -> None:
    spy = Spy()
    with torch.inference_mode():
        run(Batches(1, 2), windows(5), spy)
    assert sorted(spy.calls) == [(False, 2, True), *[(True, 1, True)] * 5]  # the first to compare with
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_few_windows_use_all_cores() -> None:
    spy = Spy()
    run(Batches(1, 4), windows(3), spy)
    assert spy.calls == [(False, 2, False)] * 3


@pytest.mark.usefixtures("two_threads")
def test_one_core_gives_the_same_logits() -> None:
    inputs, batches, spy = [*windows(3), *windows(2, 7)], Batches(1, 2), Spy()
    with one_core_threads(1, "recording") as pool:
        for part in (inputs[:3], inputs[3:]):
            assert equal(pool.submit(run, batches, part, Spy()).result(), part)
        pool.submit(run, batches, inputs, spy).result()
    assert [n_threads for _, n_threads, _ in spy.calls] == [1, 1, 1, 2, 2]  # shapes are known now


@pytest.mark.usefixtures("two_threads")
def test_one_core_threads_know_all_cores() -> None:
    with one_core_threads(1, "recording") as pool, _threads(1):
        assert pool.submit(torch.get_num_threads).result() == 2


@pytest.mark.usefixtures("two_threads")
def test_closing_early() -> None:
    consumed, spy = [], Spy()
    logits = Batches(1, 2).run(spy, (consumed.append(0) or window for window in windows(50)), 50)
    for _ in range(5):
        next(logits)
    assert len(consumed) <= 5 + 3
    assert torch.get_num_threads() == 1
    logits.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == 2
    assert len(spy.calls) < 14


@pytest.mark.usefixtures("two_threads")
def test_errors_in_lanes() -> None:
    with pytest.raises(RuntimeError, match="no such window"):
        run(Batches(1, 2), [*windows(3), Input(torch.zeros(1, 3, 8, dtype=torch.int64), slice(1, 8))], Spy())
    assert torch.get_num_threads() == 2


def test_batches_halve_down_to_one(tiny: Model) -> None:
    batches = Batches(8)
    assert [batches.halve() for _ in range(4)] == [True, True, True, False]
    assert batches.size == 1
    assert not batches.exact
    assert Batches(1).exact
    assert tiny.made_by.exact
    assert not replace(tiny, batches=batches).made_by.exact


def limited_memory(model: Model, most: int) -> Model:
    """The same model, out of memory with more than `most` windows at once."""

    def refuse(_network: nn.Module, given: tuple[Tensor, ...], _kwargs: object = None) -> None:
        if len(given[0]) > most:
            raise torch.cuda.OutOfMemoryError(f"{len(given[0])} windows are too many")

    coarse = copy.deepcopy(model.coarse)
    coarse.register_forward_pre_hook(refuse)
    return replace(model, coarse=coarse, batches=Batches(8))


@pytest.mark.parametrize(("stereo", "seconds"), [("mid", 1.0), ("channels", 2.0)])
def test_batches_agree_with_single_windows(tiny: Model, stereo: Stereo, seconds: float) -> None:
    source = clip(seconds, n_channels=2)
    takes, batched = (
        model.vamp(source, PromptConfig(period=5), seed=3, takes=3, sampling=QUICK, stereo=stereo)
        for model in (tiny, replace(tiny, batches=Batches(4)))
    )
    for take, other in zip(takes, batched, strict=True):
        assert float((take.tokens == other.tokens).float().mean()) > 0.99  # sums are rounded otherwise in a batch


def test_out_of_memory_halves_batches(tiny: Model) -> None:
    source, spans = clip(3.0), [(0.5, 1.5)]
    poor = limited_memory(tiny, 2)
    takes = poor.inpaint(source, spans, seed=3, takes=5, sampling=QUICK)
    assert poor.batches.size == 2
    modest = replace(tiny, batches=Batches(2)).inpaint(source, spans, seed=3, takes=5, sampling=QUICK)
    assert all(torch.equal(take.tokens, other.tokens) for take, other in zip(takes, modest, strict=True))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        limited_memory(tiny, 0).inpaint(source, spans, sampling=QUICK)


@pytest.mark.usefixtures("two_threads")
def test_rows_are_independent_of_lanes(tiny: Model) -> None:
    generator, seeds = torch.Generator().manual_seed(0), [3, 4, 3]
    tokens = torch.randint(tiny.grid.codebook_size, (3, 5, 100), generator=generator)
    mask = torch.rand(3, 5, 100, generator=generator) < 0.8
    with torch.inference_mode():
        together = generate(replace(tiny, batches=Batches(1, 2)), tokens, mask, seeds, QUICK)
        for i, seed in enumerate(seeds):
            (alone,) = generate(tiny, tokens[i : i + 1], mask[i : i + 1], [seed], QUICK)
            assert torch.equal(alone, together[i])


def test_compiled_networks(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a back end of Dynamo that needs no compiler on the machine."""
    calls: list[dict[str, object]] = []
    compile_ = torch.compile

    def recorded(model: Callable[..., Tensor], **how: object) -> object:
        calls.append(how)
        return compile_(model, backend="eager", dynamic=False)

    monkeypatch.setattr(torch, "compile", recorded)
    plain, compiled = (load(tiny_folder, "cpu", "fp32", compile=flag) for flag in (False, True))
    assert calls == [{"dynamic": False, "mode": "default"}] * 2
    assert (plain.made_by.compile, compiled.made_by.compile) == (False, True)
    takes = [model.vamp(clip(2.0), seed=3, sampling=QUICK)[0] for model in (plain, compiled)]
    assert torch.equal(takes[0].tokens, takes[1].tokens)
