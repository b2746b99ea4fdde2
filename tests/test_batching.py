"""How windows are run: the same logits, in order, whatever runs beside them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import oracles
from clips import QUICK, clip
from vampcli.api import Model, load
from vampcli.config import PromptConfig
from vampcli.model.batching import Batches, Forward, Input, _threads, one_core_threads
from vampcli.tasks.regenerate import generate
from vampcli.tasks.take import Stereo

MODEL = oracles.fake_model(3, 1, 10)


def windows(n: int, n_frames: int = 8) -> list[Input]:
    """Random windows; of each all frames are wanted but the first."""
    generator = torch.Generator().manual_seed(n)
    return [(torch.randint(11, (1, 3, n_frames), generator=generator), slice(1, n_frames)) for _ in range(n)]


def logits(batches: Batches, inputs: list[Input], forward: Forward = MODEL) -> list[Tensor]:
    return list(batches.run(forward, iter(inputs), len(inputs)))


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("n_lanes", [1, 2, 3])
@pytest.mark.usefixtures("two_threads")
def test_lanes_give_what_one_after_another_gives(n: int, n_lanes: int) -> None:
    inputs = windows(n)
    made = logits(Batches(1, n_lanes), inputs)
    assert len(made) == n
    assert all(torch.equal(own, MODEL(*given)) for own, given in zip(made, inputs, strict=True))


@pytest.mark.usefixtures("two_threads")
def test_a_lane_has_one_thread_and_no_gradients() -> None:
    seen: set[tuple[bool, int, bool]] = set()

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        is_lane = threading.current_thread().name.startswith("lane")
        seen.add((is_lane, torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return MODEL(tokens, wanted)

    with torch.inference_mode():
        logits(Batches(1, 2), windows(5), forward)
    assert seen == {(True, 1, True), (False, 2, True)}  # the latter to compare with
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_shape_whose_sums_depend_on_the_threads_never_runs_side_by_side() -> None:
    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        odd = tokens.shape[-1] % 2
        return MODEL(tokens, wanted) + odd * torch.get_num_threads()

    inputs = [*windows(2), *windows(2, 7), *windows(3)]
    alone = [forward(*given) for given in inputs]
    assert all(torch.equal(a, b) for a, b in zip(logits(Batches(1, 2), inputs, forward), alone, strict=True))


@pytest.mark.usefixtures("two_threads")
def test_a_thread_of_one_core_gives_what_all_cores_give() -> None:
    seen = []

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        seen.append(torch.get_num_threads())
        return tokens[:, :, wanted, None] + tokens.shape[-1] % 2 * torch.get_num_threads()

    inputs = [*windows(3), *windows(2, 7)]
    alone = [forward(*given) for given in inputs]
    batches = Batches(1, 2)
    with one_core_threads(1, "recording") as pool:
        assert torch.equal(torch.cat(pool.submit(logits, batches, inputs[:3], forward).result()), torch.cat(alone[:3]))
        assert torch.equal(torch.cat(pool.submit(logits, batches, inputs[3:], forward).result()), torch.cat(alone[3:]))
        seen.clear()
        pool.submit(logits, batches, inputs, forward).result()
    assert seen == [1, 1, 1, 2, 2]  # shapes are known by now


@pytest.mark.usefixtures("two_threads")
def test_a_thread_of_one_core_knows_all_cores_whatever_others_do_when_it_starts() -> None:
    with one_core_threads(1, "recording") as pool, _threads(1):
        assert pool.submit(torch.get_num_threads).result() == 2


@pytest.mark.usefixtures("two_threads")
def test_few_windows_are_asked_for_ahead() -> None:
    asked = []

    def inputs() -> Iterator[Input]:
        for given in windows(20):
            asked.append(given)
            yield given

    made = Batches(1, 2).run(MODEL, inputs(), 20)
    for _ in range(5):
        next(made)
    assert len(asked) <= 5 + 3


@pytest.mark.usefixtures("two_threads")
def test_what_goes_wrong_in_a_lane_is_raised_and_threads_are_what_they_were() -> None:
    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        if (tokens == tokens[0, 0, 0]).all():
            raise RuntimeError("no such window")
        return MODEL(tokens, wanted)

    inputs = [*windows(3), (torch.zeros(1, 3, 8, dtype=torch.int64), slice(1, 8))]
    with pytest.raises(RuntimeError, match="no such window"):
        logits(Batches(1, 2), inputs, forward)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_who_breaks_off_gets_the_threads_back() -> None:
    n_run = 0

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        nonlocal n_run
        n_run += 1
        return MODEL(tokens, wanted)

    made = Batches(1, 2).run(forward, iter(windows(50)), 50)
    next(made)
    assert torch.get_num_threads() == 1
    made.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == 2
    assert n_run < 10


@pytest.mark.usefixtures("two_threads")
def test_fewer_windows_than_lanes_get_all_cores_one_after_another() -> None:
    names: set[str] = set()

    def forward(tokens: Tensor, wanted: slice = slice(None)) -> Tensor:
        names.add(threading.current_thread().name)
        return MODEL(tokens, wanted)

    logits(Batches(1, 4), windows(3), forward)
    assert names == {threading.current_thread().name}


def test_batches_halve_down_to_one() -> None:
    batches = Batches(8)
    assert [batches.halve() for _ in range(4)] == [True, True, True, False]
    assert batches.size == 1
    assert not batches.exact
    assert Batches(1).exact


def short_of_memory(model: Model, most: int) -> Model:
    """The same model, whose transformers have no room for more than `most` windows at once."""

    def refuse(_network: nn.Module, given: tuple[Tensor, ...], _kwargs: object = None) -> None:
        if len(given[0]) > most:
            raise torch.cuda.OutOfMemoryError(f"{len(given[0])} windows are too many")

    coarse = copy.deepcopy(model.coarse)
    coarse.register_forward_pre_hook(refuse)
    return replace(model, coarse=coarse, batches=Batches(8))


@pytest.mark.parametrize("stereo", ["mid", "channels"])
@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_batches_make_what_single_windows_make(tiny: Model, stereo: Stereo, seconds: float) -> None:
    source = clip(seconds, n_channels=2)
    takes, batched = (
        model.vamp(source, PromptConfig(period=5), seed=3, n_takes=3, config=QUICK, stereo=stereo)
        for model in (tiny, replace(tiny, batches=Batches(4)))
    )
    for take, other in zip(takes, batched, strict=True):
        assert float((take.tokens == other.tokens).float().mean()) > 0.99  # sums are rounded otherwise in a batch


def test_out_of_memory_goes_on_as_if_batches_had_been_small_from_the_beginning(tiny: Model) -> None:
    source, spans = clip(3.0), [(0.5, 1.5)]
    poor = short_of_memory(tiny, 2)
    takes = poor.inpaint(source, spans, seed=3, n_takes=5, config=QUICK)
    assert poor.batches.size == 2
    modest = replace(tiny, batches=Batches(2)).inpaint(source, spans, seed=3, n_takes=5, config=QUICK)
    assert all(torch.equal(take.tokens, other.tokens) for take, other in zip(takes, modest, strict=True))


def test_out_of_memory_with_one_window_is_said(tiny: Model) -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        short_of_memory(tiny, 0).inpaint(clip(3.0), [(0.5, 1.5)], config=QUICK)


def test_recipes_say_whether_takes_were_made_in_batches(tiny: Model) -> None:
    assert tiny.made_by.exact
    assert not replace(tiny, batches=Batches(4)).made_by.exact


@pytest.mark.usefixtures("two_threads")
def test_rows_are_the_same_alone_and_side_by_side(tiny: Model) -> None:
    generator, seeds = torch.Generator().manual_seed(0), [3, 4, 3]
    tokens = torch.randint(tiny.grid.codebook_size, (3, 5, 100), generator=generator)
    mask = torch.rand(3, 5, 100, generator=generator) < 0.8
    with torch.inference_mode():
        together = generate(replace(tiny, batches=Batches(1, 2)), tokens, mask, seeds, QUICK)
        for i, seed in enumerate(seeds):
            (alone,) = generate(tiny, tokens[i : i + 1], mask[i : i + 1], [seed], QUICK)
            assert torch.equal(alone, together[i])


def test_compiled_networks_make_the_same_takes(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Dynamo's own back end, which needs no compiler on the machine."""
    calls: list[dict[str, object]] = []
    compile_ = torch.compile

    def recorded(model: Callable[..., Tensor], **how: object) -> object:
        calls.append(how)
        return compile_(model, backend="eager", dynamic=False)

    monkeypatch.setattr(torch, "compile", recorded)
    plain, compiled = (load(tiny_folder, "cpu", "fp32", compiled=flag) for flag in (False, True))
    assert calls == [{"dynamic": False, "mode": "default"}] * 2
    assert (plain.made_by.compiled, compiled.made_by.compiled) == (False, True)
    takes = [model.vamp(clip(2.0), seed=3, config=QUICK)[0] for model in (plain, compiled)]
    assert torch.equal(takes[0].tokens, takes[1].tokens)
