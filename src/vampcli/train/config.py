"""Configuration of training runs: one TOML file each, read into frozen dataclasses; an unknown key is an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from vampcli.codec.config import MagnitudeConfig
from vampcli.errors import UsageError
from vampcli.model.config import VampNetConfig
from vampcli.old_names import with_new_names
from vampcli.reading import read_toml
from vampcli.schema import Between, from_table, shown
from vampcli.train.discriminators import DiscriminatorConfig
from vampcli.train.masking import HIDDEN_SHARES

T = TypeVar("T")

_Count = Annotated[int, Between(1, 10**12)]
_CountOrNone = Annotated[int, Between(0, 10**12)]
_Factor = Annotated[float, Between(0, 1e12)]
_Share = Annotated[float, Between(0, 1)]


def _at_least_one(config: object, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise UsageError(f"{name} is {getattr(config, name)}", "it takes 1 or more")


@dataclass(frozen=True)
class DataConfig:
    """Training and validation data.

    Attributes:
        train: folder made by `vamp prepare` (codec) or `vamp train tokens` (coarse, fine).
        validation: the same, of held-out pieces.
        author_cap: the largest share of the drawn excerpts that one author may have.
        codec: model folder whose codec made the tokens (coarse, fine).
    """

    train: str
    validation: str
    codec: str = ""
    author_cap: Annotated[float, Between(0, 1)] = 0.08


@dataclass(frozen=True)
class LoopConfig:
    """Settings of the training loop; see `vampcli.train.loop`.

    Attributes:
        steps: total number of steps.
        batch_size: excerpts in a step of one process.
        optimizer: adamw, or muon for the matrices inside layers; see `vampcli.train.optimizer`.
        learning_rate: the peak rate.
        warmup_steps: steps over which the rate rises from zero.
        schedule: linear or constant.
        decay_from: step from which a linear rate falls, to zero at `steps`; 0 = it never falls.
        weight_decay: weight decay of the optimizer.
        clip_norm: largest norm of the gradient.
        ema_decay: decay of the averaged weights, which are validated and exported.
        seed: seed of all random numbers, together with the step number.
        compile: use `torch.compile` for coarse and fine models; the first step takes minutes, the result is cached.
        dtype: auto, fp32 or bf16; auto is bfloat16 where the hardware multiplies it.
        log_every: steps between lines of the log.
        validate_every: steps between validations; 0 = never.
        sample_every: steps between sounds written into the run's folder; 0 = never.
        save_every_s: seconds between saves of the state.
    """

    steps: _Count = 100_000
    batch_size: Annotated[int, Between(1, 2**20)] = 8
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: _Factor = 3e-4
    warmup_steps: _CountOrNone = 200
    schedule: Literal["linear", "constant"] = "linear"
    decay_from: _CountOrNone = 0
    weight_decay: _Factor = 0.01
    clip_norm: _Factor = 5.0
    ema_decay: _Share = 0.999
    seed: _CountOrNone = 0
    compile: bool = False
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    log_every: _CountOrNone = 50
    validate_every: _CountOrNone = 1000
    sample_every: _CountOrNone = 0
    save_every_s: _Factor = 300.0

    def __post_init__(self) -> None:
        _at_least_one(self, "steps", "batch_size")
        if self.decay_from and self.decay_from >= self.steps:
            raise UsageError(
                f"decay_from is {self.decay_from}, but there are {self.steps} steps", "let it fall before they end"
            )


@dataclass(frozen=True)
class CodecLossConfig:
    """Losses and schedule of codec training; each weight multiplies its term of the loss.

    Attributes:
        n_frames: token frames in an excerpt.
        quantizer_dropout: share of clips that may use only a random number of codebooks.
        waveform_weight: weight of the mel error of the decoded waveform, beside that of the magnitudes; 0 saves
            estimating phases in every step.
        adversarial_from: step from which discriminators are trained and used; negative = no discriminators. They
            cost several times the step, so resume with this set once the validation mel error is flat, and keep the
            result only if that error rises by less than 3 % and spectrograms and span borders improve.
        adversarial_weight: weight of the discriminators' loss.
        feature_weight: weight of feature matching.
    """

    n_frames: Annotated[int, Between(1, 2**15)] = 23
    quantizer_dropout: _Share = 0.25
    waveform_weight: _Factor = 0.0
    adversarial_from: int = -1
    adversarial_weight: _Factor = 0.1
    feature_weight: _Factor = 0.2

    def __post_init__(self) -> None:
        _at_least_one(self, "n_frames")


@dataclass(frozen=True)
class CodecRun:
    """The TOML of `vamp train codec`.

    Attributes:
        codec: sizes of the codec.
        start: model folder to start from, with the same sizes.
        discriminators: sizes of the discriminators, used if the loss has `adversarial_from`.
    """

    data: DataConfig
    codec: MagnitudeConfig = field(default_factory=MagnitudeConfig)
    loss: CodecLossConfig = field(default_factory=CodecLossConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    start: str = ""
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)


@dataclass(frozen=True)
class TokenRun:
    """The TOML of `vamp train coarse` and `vamp train fine`.

    Attributes:
        model: sizes of the transformer.
        n_frames: length of the excerpts, at most the model's context.
        n_validation_frames: length of validation excerpts; 0 = `n_frames`.
        label_smoothing: probability that the target spreads evenly over all classes.
        masking: distribution of the hidden share of an excerpt: cosine, uniform, half or beta; see
            `vampcli.train.masking.HIDDEN_SHARES`.
        start: model folder of the same codec whose coarse or fine weights to start from.
    """

    data: DataConfig
    model: VampNetConfig
    n_frames: Annotated[int, Between(1, 2**15)]
    loop: LoopConfig = field(default_factory=LoopConfig)
    label_smoothing: _Share = 0.1
    masking: str = "cosine"
    start: str = ""
    n_validation_frames: Annotated[int, Between(0, 2**15)] = 0

    def __post_init__(self) -> None:
        _at_least_one(self, "n_frames")
        if self.masking not in HIDDEN_SHARES:
            raise UsageError(f"masking is {self.masking!r}", f"choose {', '.join(HIDDEN_SHARES)}")
        if (longest := max(self.n_frames, self.n_validation_frames)) > self.model.context_frames:
            raise UsageError(
                f"n_frames is {longest}, but the model's context_frames {self.model.context_frames}",
                "excerpts are at most a context long",
            )


def load_run(path: Path, run_type: type[T]) -> T:
    """Read a TOML file into a run.

    Raises:
        InputError: the file cannot be read.
        UsageError: it is not TOML, holds an unknown key or lacks one; the message names it.
    """
    table = with_new_names(read_toml(path))
    if isinstance(codec := table.get("codec"), dict) and (kind := codec.pop("kind", "magnitude")) != "magnitude":
        raise UsageError(
            f"{path}: the codec is of the kind {shown(kind)}", "only codecs of the kind magnitude are trained"
        )
    return from_table(run_type, table, str(path))
