"""Configurations of codecs: sizes, the token grid, and the reach of the networks. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol

from vampcli.errors import ModelError, UsageError
from vampcli.schema import Between, from_table, raising, shown
from vampcli.tokens.grid import TokenGrid

DILATIONS = (1, 3, 9)
"""Of the residual layers of the encoder of `LacCodec`, and of both networks of `DacCodec`."""
DECODER_DILATIONS = (1, 3, 5)
DECODER_KERNELS = (3, 7, 11)

_WIDEST = 2**16  # channels, and samples per frame
_WINDOWS = "n_fft takes 2 or more times hop_length / n_subframes, and differs from it by an even number"

Rates = Annotated[tuple[Annotated[int, Between(1, 64)], ...], Between(1, 12)]
"""Factors of the rate, block by block."""


class CodecShape(Protocol):
    """Token grid and reach of a codec, on which plans depend: a codec or its configuration."""

    @property
    def grid(self) -> TokenGrid:
        """Token grid."""

    @property
    def encoder_reach(self) -> int:
        """Distance in frames beyond which audio does not change a frame's codes."""

    @property
    def halo_frames(self) -> int:
        """Frames around a range with which its codes and audio equal those of the whole clip, within 1e-4."""


@dataclass(frozen=True)
class MagnitudeConfig:
    """Sizes of a `MagnitudeCodec`.

    Attributes:
        n_subframes: STFT frames per token frame.
        n_fft: a multiple of `stft_hop`.
        bandwidth: of the coded bands, relative to their frequency; at least one bin.
        latent_dim: number of principal components of a frame's bands that are quantised.
        n_phase_steps: Griffin-Lim iterations per decoding.
        correction_blocks: blocks of the network that corrects the spectrum after these; 0 = there is none.
    """

    sample_rate: Annotated[int, Between(1000, 1_000_000)] = 44100
    hop_length: Annotated[int, Between(1, 2**16)] = 768
    n_fft: Annotated[int, Between(2, 2**17)] = 1920
    n_subframes: Annotated[int, Between(1, 64)] = 2
    bandwidth: Annotated[float, Between(0, 1)] = 0.01
    latent_dim: Annotated[int, Between(1, 2**16)] = 160
    frame_width: Annotated[int, Between(1, 2**14)] = 512
    frame_blocks: Annotated[int, Between(0, 64)] = 3
    subframe_width: Annotated[int, Between(1, 2**14)] = 384
    subframe_blocks: Annotated[int, Between(0, 64)] = 2
    n_codebooks: Annotated[int, Between(1, 64)] = 9
    codebook_size: Annotated[int, Between(2, 2**16)] = 1024
    codebook_dim: Annotated[int, Between(1, 2**12)] = 8
    n_phase_steps: Annotated[int, Between(0, 1000)] = 6
    correction_blocks: Annotated[int, Between(0, 64)] = 0

    def __post_init__(self) -> None:
        if self.hop_length % self.n_subframes or self.n_fft % self.stft_hop:
            raise UsageError(f"n_fft {self.n_fft} is no multiple of {self.hop_length} / {self.n_subframes}", _WINDOWS)
        if self.n_fft < 2 * self.stft_hop or (self.n_fft - self.stft_hop) % 2:
            raise UsageError(f"windows of {self.n_fft} do not overlap evenly every {self.stft_hop} samples", _WINDOWS)

    @property
    def stft_hop(self) -> int:
        """Samples between STFT frames."""
        return self.hop_length // self.n_subframes

    @property
    def n_bins(self) -> int:
        """Frequency bins of an STFT frame."""
        return self.n_fft // 2 + 1

    @property
    def grid(self) -> TokenGrid:
        """Token grid of the codec."""
        return TokenGrid(self.sample_rate, self.hop_length, self.n_codebooks, self.codebook_size)

    @property
    def encoder_reach(self) -> int:
        """Distance in frames beyond which audio does not change a frame's codes."""
        overhang = (self.n_fft - self.stft_hop) // 2  # of a window beyond its frame
        return -(-overhang // self.hop_length)

    @property
    def halo_frames(self) -> int:
        """Frames around a range that determine its codes and its audio."""
        n_blocks, overlap = self.subframe_blocks + self.correction_blocks, self.n_fft // self.stft_hop - 1
        n_inversions = self.n_phase_steps + 1 + (self.correction_blocks > 0)
        subframes = 3 * n_blocks + n_inversions * overlap
        return max(self.encoder_reach, -(-subframes // self.n_subframes) + 3 * self.frame_blocks)


@dataclass(frozen=True)
class LacConfig:
    """Sizes of a `LacCodec`; the defaults are the published ones."""

    sample_rate: Annotated[int, Between(1000, 1_000_000)] = 44100
    encoder_dim: Annotated[int, Between(1, 2**12)] = 64
    encoder_rates: Rates = (2, 6, 8, 8)
    decoder_dim: Annotated[int, Between(1, 2**14)] = 1536
    decoder_rates: Rates = (6, 4, 4, 2, 2, 2)
    n_codebooks: Annotated[int, Between(1, 64)] = 14
    codebook_size: Annotated[int, Between(2, 2**16)] = 1024
    codebook_dim: Annotated[int, Between(1, 2**12)] = 8
    residual_reach: ClassVar[int] = max(DECODER_KERNELS) // 2 * sum(d + 1 for d in DECODER_DILATIONS)
    """Reach of the decoder's residual layers on either side, in samples at their rate."""

    def __post_init__(self) -> None:
        if math.prod(self.decoder_rates) != self.hop_length:
            raise UsageError(
                f"decoder rates {self.decoder_rates} do not undo {self.encoder_rates}", "their products are equal"
            )
        if not self.hop_length <= _WIDEST >= self.encoder_dim << len(self.encoder_rates):
            raise UsageError(f"encoder_rates is {self.encoder_rates}", f"channels and samples go up to {_WIDEST}")
        if not self.decoder_dim >> len(self.decoder_rates):
            raise UsageError(f"decoder_dim is {self.decoder_dim}", f"it takes {2 ** len(self.decoder_rates)} or more")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return int(math.prod(self.encoder_rates))

    @property
    def latent_dim(self) -> int:
        """Channels of the latents."""
        return self.encoder_dim << len(self.encoder_rates)

    @property
    def grid(self) -> TokenGrid:
        """Token grid of the codec."""
        return TokenGrid(self.sample_rate, self.hop_length, self.n_codebooks, self.codebook_size)

    @property
    def encoder_reach(self) -> int:
        """Distance in frames beyond which audio does not change a frame's codes."""
        reach, stride = 3, 1  # in samples
        for rate in self.encoder_rates:
            reach += stride * (3 * sum(DILATIONS) + rate)
            stride *= rate
        return math.ceil((reach + stride) / stride)

    @property
    def halo_frames(self) -> int:
        """Frames around a range that determine its codes and its audio."""
        hop = self.hop_length
        reach, stride = 3 * hop, hop  # in samples
        for rate in self.decoder_rates:
            reach += stride  # the transposed convolution
            stride //= rate
            reach += stride * self.residual_reach
        return max(self.encoder_reach, math.ceil((reach + 3) / hop))


@dataclass(frozen=True)
class DacConfig(LacConfig):
    """Sizes of a `DacCodec`; the defaults are those of the published 44.1 kHz model.

    Attributes:
        latent_dim: channels of the latents; 0 for the width of the encoder's last layers.
    """

    encoder_rates: Rates = (2, 4, 8, 8)
    decoder_rates: Rates = (8, 8, 4, 2)
    n_codebooks: Annotated[int, Between(1, 64)] = 9
    latent_dim: Annotated[int, Between(0, 2**16)] = 0
    residual_reach: ClassVar[int] = 3 * sum(DILATIONS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.latent_dim:
            object.__setattr__(self, "latent_dim", self.encoder_dim << len(self.encoder_rates))


CONFIGS: dict[str, type[Any]] = {"magnitude": MagnitudeConfig, "dac": DacConfig, "lac": LacConfig}
"""Configuration of every kind of codec."""


def kind_of(config_type: type[Any]) -> str:
    """The kind of codec that a type of configuration belongs to."""
    return next(kind for kind, known in CONFIGS.items() if known is config_type)


def codec_config(table: Mapping[str, Any], where: str) -> Any:
    """Return the configuration of a codec from a table of its kind and its sizes.

    Raises:
        ModelError: unknown kind or size, or a size out of range.
    """
    sizes = {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}
    kind = sizes.pop("kind", None)
    if not isinstance(kind, str) or kind not in CONFIGS:
        raise ModelError(f"{where}: unknown kind of codec: {shown(kind)}", f"known: {', '.join(CONFIGS)}")
    with raising(ModelError):
        return from_table(CONFIGS[kind], sizes, f"{where}: sizes of a {kind} codec")
