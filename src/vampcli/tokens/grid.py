"""The token grid: seconds, samples and frames, in integer arithmetic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenGrid:
    """How tokens lie in time.

    Attributes:
        sample_rate: of the codec, in Hz.
        hop_length: samples in one frame.
        n_codebooks: tokens in one frame.
        codebook_size: classes of a token; the id `codebook_size` means MASK.
    """

    sample_rate: int
    hop_length: int
    n_codebooks: int
    codebook_size: int

    @property
    def mask_id(self) -> int:
        """The id that stands for a hidden token."""
        return self.codebook_size

    @property
    def frame_rate(self) -> float:
        """Frames in a second."""
        return self.sample_rate / self.hop_length

    @property
    def frame_s(self) -> float:
        """Seconds in a frame."""
        return self.hop_length / self.sample_rate

    def n_frames(self, n_samples: int) -> int:
        """How many frames hold `n_samples` samples of the codec's rate, the last one filled up."""
        return -(-n_samples // self.hop_length)

    def n_samples(self, n_file_samples: int, file_rate: int) -> int:
        """How many samples of the codec's rate hold a file of `n_file_samples` at `file_rate`."""
        return -(-n_file_samples * self.sample_rate // file_rate)

    def frames_touched(self, start: int, end: int, file_rate: int) -> tuple[int, int]:
        """Every frame that the file's samples [start, end) touch, as a half-open range: rounded outward."""
        first = start * self.sample_rate // (file_rate * self.hop_length)
        last = -(-end * self.sample_rate // (file_rate * self.hop_length))
        return first, last
