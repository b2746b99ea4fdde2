"""The transformer against a slow plain one."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vampcli.model.config import VampNetConfig
from vampcli.model.transformer import Layer, VampNet, position_buckets

CONFIGS = {
    "coarse": VampNetConfig(3, 0, 2, 24, 4, context_frames=40, codebook_size=11, codebook_dim=5),
    "fine": VampNetConfig(5, 2, 2, 24, 3, context_frames=40, codebook_size=7),
}


def random_model(config: VampNetConfig) -> VampNet:
    torch.manual_seed(0)
    model = VampNet(config).eval().requires_grad_(False)
    model.codebooks.normal_()
    model.mask_rows.normal_()
    model.position_bias.normal_()
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope="module", params=CONFIGS, ids=str)
def model(request: pytest.FixtureRequest) -> VampNet:
    return random_model(CONFIGS[request.param])


def random_tokens(config: VampNetConfig, n_batch: int, n_frames: int, seed: int = 1) -> Tensor:
    """Tokens with about half of those to be predicted hidden."""
    generator = torch.Generator().manual_seed(seed)
    shape = (n_batch, config.n_codebooks, n_frames)
    tokens = torch.randint(config.codebook_size, shape, generator=generator)
    hidden = torch.rand(shape, generator=generator) < 0.5
    hidden[:, : config.n_conditioning] = False
    return tokens.masked_fill(hidden, config.codebook_size)


def plain_bucket(distance: int) -> int:
    """T5's bucket of key minus query, in whole numbers.

    8 + floor(8 log(d / 8) / log(128 / 8)) = 8 + floor(log2(d^2 / 64)), since log(16) is four octaves.
    """
    size = abs(distance)
    far = 8 + (size * size // 64).bit_length() - 1
    return (size if size < 8 else min(far, 15)) + (16 if distance > 0 else 0)


def plain_norm(x: Tensor, weight: Tensor) -> Tensor:
    return torch.stack([row / math.sqrt(float((row**2).mean()) + 1e-6) * weight for row in x])


def plain_gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def plain_attention(x: Tensor, w: dict[str, Tensor], bias: Tensor) -> Tensor:
    """One head at a time, one query at a time: (n_frames, width) -> the same shape."""
    n_frames, width = x.shape
    n_heads = bias.shape[1]
    size = width // n_heads
    mixed = torch.zeros_like(x)
    for head in range(n_heads):
        rows = slice(head * size, (head + 1) * size)
        query, key, value = (x @ w[f"{name}.weight"][rows].T for name in ("query", "key", "value"))
        for i in range(n_frames):
            near = torch.tensor([float(bias[plain_bucket(j - i), head]) for j in range(n_frames)])
            scores = key @ query[i] / math.sqrt(size) + near
            mixed[i, rows] = (scores - scores.max()).exp() / (scores - scores.max()).exp().sum() @ value
    return mixed @ w["output.weight"].T


def plain_logits(model: VampNet, tokens: Tensor) -> Tensor:
    """Tokens (n_codebooks, n_frames) of one clip -> (n_predicted, n_frames, classes)."""
    c, w = model.config, dict(model.state_dict())
    rows = [
        [w["mask_rows"][level] if t == c.codebook_size else w["codebooks"][level, t] for level, t in enumerate(frame)]
        for frame in tokens.T.tolist()
    ]
    x = torch.stack([torch.cat(frame) for frame in rows]) @ w["embed.weight"].T + w["embed.bias"]
    for i in range(c.n_layers):
        layer = {name.removeprefix(f"layers.{i}."): t for name, t in w.items() if name.startswith(f"layers.{i}.")}
        x = x + plain_attention(plain_norm(x, layer["norm_1.weight"]), layer, w["position_bias"])
        wide = plain_norm(x, layer["norm_2.weight"]) @ layer["widen.weight"].T
        a, b = wide[:, : 2 * c.width], wide[:, 2 * c.width :]
        x = x + (a * plain_gelu(b)) @ layer["narrow.weight"].T
    logits = plain_norm(x, w["norm.weight"]) @ w["classifier.weight"].T + w["classifier.bias"]
    levels = [logits[:, p * c.codebook_size : (p + 1) * c.codebook_size] for p in range(c.n_predicted)]
    return torch.stack(levels)


@pytest.mark.parametrize("n_frames", [1, 2, 30, 100])
def test_logits_equal_plain_transformer(model: VampNet, n_frames: int) -> None:
    tokens = random_tokens(model.config, 1, n_frames)
    logits = model(tokens)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits[0], plain_logits(model, tokens[0]), atol=1e-4, rtol=1e-4)


def test_position_buckets_of_t5() -> None:
    distances = range(-700, 701)
    assert position_buckets(torch.tensor(distances)).tolist() == [plain_bucket(d) for d in distances]


def test_plain_buckets_follow_the_formula() -> None:
    for size in set(range(8, 128)) - {8, 16, 32, 64}:  # at these the logarithms are whole, and rounding decides
        assert plain_bucket(-size) == min(15, 8 + int(8 * math.log(size / 8) / math.log(16)))


@pytest.mark.parametrize("wanted", [slice(0, 1), slice(7, 19), slice(29, 30), slice(None)], ids=str)
def test_wanted_frames_are_a_slice(model: VampNet, wanted: slice) -> None:
    tokens = random_tokens(model.config, 2, 30)
    torch.testing.assert_close(model(tokens, wanted), model(tokens)[:, :, wanted], atol=1e-5, rtol=0)


def test_batch_rows_are_independent(model: VampNet) -> None:
    tokens = random_tokens(model.config, 3, 30)
    alone = torch.cat([model(clip[None]) for clip in tokens])
    torch.testing.assert_close(model(tokens), alone, atol=1e-5, rtol=0)


def test_bfloat16_stays_near_float32(model: VampNet) -> None:
    tokens = random_tokens(model.config, 1, 30)
    half = random_model(model.config).to(torch.bfloat16)
    assert half(tokens).dtype == torch.float32
    torch.testing.assert_close(half(tokens), model(tokens), atol=0.1, rtol=0.1)


def test_dropout_only_acts_in_training(model: VampNet) -> None:
    tokens = random_tokens(model.config, 1, 30)
    assert torch.equal(model(tokens), model(tokens))
    trained = random_model(model.config).train()
    assert not torch.allclose(trained(tokens), trained(tokens))


@pytest.mark.parametrize("wanted", [slice(None), slice(3, 9), slice(0, 1)])
def test_bfloat16_attention_is_attention(wanted: slice) -> None:
    torch.manual_seed(0)
    layer = Layer(VampNetConfig(4, 0, 1, 64, 4, 40)).eval()
    x, bias = torch.randn(2, 17, 64), torch.randn(4, 17, 17)
    with torch.inference_mode():
        exact = layer(x, bias, wanted)
        rounded = layer.to(torch.bfloat16)(x.bfloat16(), bias.bfloat16(), wanted)
    assert torch.nn.functional.cosine_similarity(exact.flatten(), rounded.float().flatten(), dim=0) > 0.9999


@pytest.mark.parametrize("name", CONFIGS)
def test_training_and_inference_agree(name: str) -> None:
    model = random_model(replace(CONFIGS[name], dropout=0.0))
    tokens = random_tokens(model.config, 2, 30)
    assert torch.allclose(model.train()(tokens), model.eval()(tokens), atol=1e-5)


def test_training_after_inference() -> None:
    model = VampNet(VampNetConfig(2, 0, 1, 16, 2, 40, 8))
    tokens = torch.randint(0, 9, (1, 2, 23))
    with torch.inference_mode():
        model(tokens)
    model(tokens).sum().backward()
    assert model.position_bias.grad is not None
