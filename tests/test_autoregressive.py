"""The autoregressive model of the experiments: it sees the past alone, and its cache changes nothing."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace

import torch
from experiments.autoregressive import AutoregressiveTask, Cached, causal, continued, delayed, undelayed

from training import LOOP
from vampcli.api import Model


def tokens(n_frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(32, (2, n_frames), generator=torch.Generator().manual_seed(seed))


def test_delays_are_undone() -> None:
    late = delayed(tokens(7)[None], 32)
    assert late.shape == (1, 2, 8)
    assert late[0, 1, 0] == 32
    assert torch.equal(late[0, 1, 1:], tokens(7)[1])
    assert torch.equal(undelayed(late)[0], tokens(7))


def test_what_comes_later_is_out_of_sight(tiny: Model) -> None:
    early, late = tokens(9)[None], tokens(9)[None].clone()
    late[..., 5:] = tokens(4, 1)
    a, b = (tiny.coarse(x, bias=causal(tiny.coarse, 9)) for x in (early, late))
    assert torch.allclose(a[:, :, :5], b[:, :, :5], atol=1e-5)
    assert not torch.allclose(a[:, :, 5:], b[:, :, 5:], atol=1e-3)


def test_a_token_is_guessed_without_itself(tiny: Model) -> None:
    """Changing the last frame changes what is to be guessed, and no guess."""
    task = SimpleNamespace(
        model=tiny.coarse, run=SimpleNamespace(model=tiny.coarse.config, loop=replace(LOOP, dtype="fp32"))
    )
    early, late = tokens(9)[None], tokens(9)[None].clone()
    late[..., 8] = (late[..., 8] + 1) % 32
    a, b = (list(AutoregressiveTask._targets_and_logits(task, x, x)) for x in (early, late))  # type: ignore[arg-type]
    assert [len(target) for target, _ in a] == [9, 9]
    assert all(not torch.equal(x[0], y[0]) for x, y in zip(a, b, strict=True))
    assert torch.allclose(a[0][1], b[0][1], atol=1e-5)
    assert not torch.allclose(a[1][1], b[1][1], atol=1e-3)  # the second codebook comes later, and has seen the first


def test_a_cache_changes_nothing(tiny: Model) -> None:
    frames, cached = tokens(9), Cached(tiny.coarse, 9)
    whole = tiny.coarse(frames[None], bias=causal(tiny.coarse, 9))[0]
    first = cached(frames[:, :4])
    assert torch.allclose(first, whole[:, 3], atol=1e-4)
    for t in range(4, 9):
        assert torch.allclose(cached(frames[:, t : t + 1]), whole[:, t], atol=1e-4)


def test_a_cache_in_bfloat16_is_near(tiny: Model) -> None:
    network = copy.deepcopy(tiny.coarse)
    whole = network(tokens(9)[None])[0]
    for layer in (network.layers, network.embed, network.classifier, network.norm):
        layer.to(torch.bfloat16)
    cached = Cached(network, 9)
    cached(tokens(9)[:, :8])
    found = cached(tokens(9)[:, 8:])
    wanted = Cached(tiny.coarse, 9)
    wanted(tokens(9)[:, :8])
    assert found.dtype == torch.float32
    assert torch.allclose(found, wanted(tokens(9)[:, 8:]), atol=0.05 * float(whole.std()))


def test_what_is_made_is_what_was_learned(tiny: Model) -> None:
    """All but cold, every token is the likeliest one by the logits that training compares with what comes next."""
    made = continued(tiny.coarse, tokens(4), 10, 1e-4, torch.Generator().manual_seed(0))
    task = SimpleNamespace(
        model=tiny.coarse, run=SimpleNamespace(model=tiny.coarse.config, loop=replace(LOOP, dtype="fp32"))
    )
    for target, logits in AutoregressiveTask._targets_and_logits(task, made[None], made[None]):  # type: ignore[arg-type]
        assert torch.equal(logits.argmax(-1)[4:], target[4:])


def test_what_is_kept_stays_and_all_else_is_made(tiny: Model) -> None:
    kept = tokens(4)
    made = continued(tiny.coarse, kept, 10, 1.0, torch.Generator().manual_seed(0))
    assert made.shape == (2, 10)
    assert torch.equal(made[:, :4], kept)
    assert int(made.max()) < 32
    again, other = (continued(tiny.coarse, kept, 10, 1.0, torch.Generator().manual_seed(s)) for s in (0, 1))
    assert torch.equal(made, again)
    assert not torch.equal(made, other)
