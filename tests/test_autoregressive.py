"""The autoregressive model of the experiments: causality and cache."""

from dataclasses import replace
from types import SimpleNamespace

import torch
from experiments.autoregressive import AutoregressiveTask, Cached, causal, delay, extend, undelay

from training import LOOP
from vampcli.api import Model


def tokens(n_frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(32, (2, n_frames), generator=torch.Generator().manual_seed(seed))


def test_delays_are_undone() -> None:
    late = delay(tokens(7)[None], 32)
    assert late.shape == (1, 2, 8)
    assert late[0, 1, 0] == 32
    assert torch.equal(late[0, 1, 1:], tokens(7)[1])
    assert torch.equal(undelay(late)[0], tokens(7))


def test_later_frames_are_masked(tiny: Model) -> None:
    early, late = tokens(9)[None], tokens(9)[None].clone()
    late[..., 5:] = tokens(4, 1)
    a, b = (tiny.coarse(x, bias=causal(tiny.coarse, 9)) for x in (early, late))
    assert torch.allclose(a[:, :, :5], b[:, :, :5], atol=1e-5)
    assert not torch.allclose(a[:, :, 5:], b[:, :, 5:], atol=1e-3)


def test_tokens_are_predicted_without_themselves(tiny: Model) -> None:
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


def test_cache_equals_full_pass(tiny: Model) -> None:
    frames, cached = tokens(9), Cached(tiny.coarse, 9)
    whole = tiny.coarse(frames[None], bias=causal(tiny.coarse, 9))[0]
    first = cached(frames[:, :4])
    assert torch.allclose(first, whole[:, 3], atol=1e-4)
    for t in range(4, 9):
        assert torch.allclose(cached(frames[:, t : t + 1]), whole[:, t], atol=1e-4)


def test_cold_samples_are_the_likeliest(tiny: Model) -> None:
    """All but cold, every token is the likeliest one by the logits that training compares with what comes next."""
    made = extend(tiny.coarse, tokens(4), 10, 1e-4, torch.Generator().manual_seed(0))
    task = SimpleNamespace(
        model=tiny.coarse, run=SimpleNamespace(model=tiny.coarse.config, loop=replace(LOOP, dtype="fp32"))
    )
    for target, logits in AutoregressiveTask._targets_and_logits(task, made[None], made[None]):  # type: ignore[arg-type]
        assert torch.equal(logits.argmax(-1)[4:], target[4:])


def test_continuation_keeps_the_prefix(tiny: Model) -> None:
    kept = tokens(4)
    made = extend(tiny.coarse, kept, 10, 1.0, torch.Generator().manual_seed(0))
    assert made.shape == (2, 10)
    assert torch.equal(made[:, :4], kept)
    assert int(made.max()) < 32
    again, other = (extend(tiny.coarse, kept, 10, 1.0, torch.Generator().manual_seed(s)) for s in (0, 1))
    assert torch.equal(made, again)
    assert not torch.equal(made, other)
