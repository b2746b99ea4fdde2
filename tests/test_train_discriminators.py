"""Discriminators, their losses, and training with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import music
from training import LOOP, codec_run
from vampcli.errors import UsageError
from vampcli.train.codec_task import CodecTask
from vampcli.train.config import CodecRun, load_run
from vampcli.train.discriminators import DiscriminatorConfig, Discriminators, adversarial_losses
from vampcli.train.loop import Trainer

SMALL = DiscriminatorConfig(windows=(64, 128), bands=(0.5,), width=2, periods=(3,), period_width=2)


def judges(config: DiscriminatorConfig = SMALL) -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(config)


def sounds(n_samples: int = 2000, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(music(n_samples / 44100, 44100, 2, seed)).float()


def run_with(prepared: Path, start: int, **loss: object) -> CodecRun:
    run = codec_run(prepared, adversarial_from=start, n_frames=6, **loss)
    codec = replace(run.codec, n_fft=1920)
    return replace(run, codec=codec, discriminators=SMALL, loop=replace(run.loop, batch_size=4))


def test_shapes_of_verdicts() -> None:
    maps = judges()(sounds())
    assert [m[-1].shape[:2] for m in maps] == [(2, 1)] * 3
    assert [m[-1].shape[2] for m in maps[:2]] == [2000 // 16 + 1, 2000 // 32 + 1]  # frames of a quarter window
    assert len(maps[0]) == 2 * 5 + 1  # two bands of five layers, and the verdict


def test_period_discriminator_separates_phases() -> None:
    network = judges(replace(SMALL, windows=()))
    x = sounds(900)
    y = x.clone()
    y[:, 1::3] = 0
    before, after = network(x)[0][-1], network(y)[0][-1]
    assert torch.equal(before[..., [0, 2]], after[..., [0, 2]])
    assert not torch.allclose(before[..., 1], after[..., 1])


def test_one_backward_pass_equals_two() -> None:
    network, real = judges(), sounds()
    made = sounds(seed=1).requires_grad_()
    said = adversarial_losses(network, made, real)
    (said.generator + 2 * said.features + said.discriminator).backward()
    own = {name: p.grad.clone() for name, p in network.named_parameters()}

    level = 0.1 / real.square().mean(1, keepdim=True).sqrt()
    network.zero_grad()
    apart = torch.stack(
        [
            ((1 - a[-1]) ** 2).mean() + (b[-1] ** 2).mean()
            for a, b in zip(network(real * level), network(made.detach() * level), strict=True)
        ]
    ).mean()
    apart.backward()
    assert said.discriminator.item() == pytest.approx(apart.item(), rel=1e-4)
    assert all(torch.allclose(own[n], p.grad, atol=1e-5) for n, p in network.named_parameters())

    other = made.detach().clone().requires_grad_()
    heard, goal = network(other * level), network(real * level)
    fooled = torch.stack([((1 - m[-1]) ** 2).mean() for m in heard]).mean()
    off = torch.stack(
        [
            (a - b.detach()).abs().mean() / b.detach().abs().mean()
            for m, r in zip(heard, goal, strict=True)
            for a, b in zip(m[:-1], r[:-1], strict=True)
        ]
    ).mean()
    (fooled + 2 * off).backward()
    assert torch.allclose(made.grad, other.grad, atol=1e-6)


def test_losses_of_identical_sound_and_silence() -> None:
    x = sounds()
    assert float(adversarial_losses(judges(), x, x).features) == pytest.approx(0, abs=1e-6)
    silent = adversarial_losses(judges(), torch.zeros_like(x), torch.zeros_like(x))
    assert all(torch.isfinite(value) for value in vars(silent).values())


def test_adversarial_training_starts_on_time(prepared: Path, tmp_path: Path) -> None:
    def trainer(start: int) -> Trainer:
        torch.manual_seed(0)
        run = run_with(prepared, start, adversarial_weight=30.0, feature_weight=30.0)
        return Trainer(CodecTask(run), LOOP, tmp_path)

    never, later = trainer(-1), trainer(3)
    plain = [never.advance() for _ in range(4)]
    judged = [later.advance() for _ in range(3)]
    assert judged == plain[:3]
    assert not any(n.startswith("discriminators") for n in never.parameters)
    theirs = {n: p for n, p in later.parameters.items() if n.startswith("discriminators")}
    assert all(p.grad is None and p not in later.optimizers[0].state for p in theirs.values())
    before = {n: p.detach().clone() for n, p in theirs.items()}
    figures = later.advance()
    assert {"generator", "features", "discriminator"} <= figures.keys()
    assert all(p.grad is not None for p in theirs.values())
    assert any(not torch.equal(p, before[n]) for n, p in theirs.items())
    last = "codec.decoder.head.weight"
    one, other = (t.parameters[last].grad.flatten() for t in (never, later))
    assert torch.cosine_similarity(one, other, 0) < 0.9999  # discriminators change the decoder's gradient


def test_waveform_weight_adds_the_mel_error(prepared: Path) -> None:
    def losses(weight: float) -> tuple[float, dict[str, float]]:
        torch.manual_seed(0)
        task = CodecTask(run_with(prepared, -1, waveform_weight=weight))
        loss, figures = task.loss(0, np.random.default_rng(0))
        return loss.item(), figures

    (plain, without), (more, figures) = losses(0.0), losses(0.5)
    assert "mel" not in without
    assert more == pytest.approx(plain + 0.5 * figures["mel"], rel=1e-5)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("windows = []", "need windows or periods"),
        ("bands = [0.5, 0.2]", "do not rise"),
        ("depth = 2", "unknown key 'depth'"),
    ],
)
def test_invalid_sizes(text: str, fact: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f'[data]\ntrain = "a"\nvalidation = "b"\n[discriminators]\n{text}\n')
    with pytest.raises(UsageError, match=fact):
        load_run(path, CodecRun)
