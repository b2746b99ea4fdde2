"""The `.vamp` file: the kept tokens of a recording, and everything that is needed to generate the others.

A safetensors file with two tensors of bytes. `codes`: the kept tokens as bits, channel by channel, codebook by
codebook, frame by frame. `facts`: a SHA-256 checksum over the rest of both tensors, and a JSON object, compressed
by deflate with a dictionary. Files of format 2, which are read, too, hold the JSON in the metadata.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save as to_bytes
from torch import Tensor

from vampcli.audio.formats import BITS
from vampcli.errors import InputError, UsageError
from vampcli.files import replacing
from vampcli.old_names import with_new_names
from vampcli.reading import parse_json
from vampcli.recipe.packing import MOST_BITS, deflate, inflate, pack, unpack
from vampcli.recipe.recipe import InputSource, Recipe, to_table
from vampcli.schema import from_table, shown
from vampcli.tensor_reading import open_tensors
from vampcli.tokens import masks
from vampcli.tokens.bitrate import bits_per_token

FORMAT = 3
_EARLIER = 2
MOST_TOKENS = 2**25  # kept or not; 18 hours of the embedded model
_CODES, _FACTS, _SEAL = "codes", "facts", "sha256"
_EARLIER_FACTS = "vamp"
_MOST_TEXT = 2**23  # characters of JSON
_N_DIGEST = 32  # bytes
_CURE = "make it again with `vamp compress`, or copy it again"


@dataclass(frozen=True)
class TokenFile:
    """The contents of a `.vamp` file.

    Attributes:
        tokens: int64 (n_model_channels, n_codebooks, n_frames); tokens not kept may be anything, and are loaded as 0.
        n_kept_codebooks: number of codebooks kept, the first ones,
        period: of the frames 0, period, 2 * period, ...; 1 = of every frame, 0 = of none.
        codebook_size: classes of a token.
        gain: factor that decoded samples are divided by: the gain before encoding, less what the codec loses.
        sample_rate: of the recording, in Hz; not the codec's.
        n_channels: of the recording.
        n_samples: exact length of the recording, in samples at `sample_rate`.
        subtype: sample format of the recording, by libsndfile's name.
        recipe: of the take that `Model.expand` makes of the file.

    Raises:
        UsageError: a number is out of range, or two contradict each other.
    """

    tokens: Tensor
    n_kept_codebooks: int
    period: int
    codebook_size: int
    gain: float
    sample_rate: int
    n_channels: int
    n_samples: int
    subtype: str
    recipe: Recipe

    def __post_init__(self) -> None:
        n_model_channels, n_codebooks, _ = self.tokens.shape
        for name, low, high in (
            ("n_kept_codebooks", 0, n_codebooks),
            ("period", 0, 2**40),
            ("codebook_size", 2, 2**MOST_BITS),
            ("sample_rate", 1, 2**31),
            ("n_channels", n_model_channels, 2),
            ("n_samples", 1, 2**48),
        ):
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} is {getattr(self, name)}", f"it must be {low} to {high}")
        if not 0 < self.gain < math.inf:
            raise UsageError(f"gain is {self.gain}", "it must be above 0")
        if self.subtype not in (*BITS, "FLOAT", "DOUBLE"):
            raise UsageError(f"subtype is {self.subtype!r}", f"it must be one of {', '.join(BITS)}, FLOAT, DOUBLE")

    @property
    def mask(self) -> Tensor:
        """Mask of the tokens not kept: bool (n_codebooks, n_frames), True = generate."""
        _, n_codebooks, n_frames = self.tokens.shape
        return torch.from_numpy(masks.keep_sparse(n_codebooks, n_frames, self.n_kept_codebooks, self.period))

    @property
    def kept(self) -> Tensor:
        """The kept tokens, as a view: int64 (n_model_channels, n_kept_codebooks, n_kept_frames)."""
        n_codebooks = self.n_kept_codebooks if self.period else 0
        return self.tokens[:, :n_codebooks, :: self.period or 1]

    @property
    def n_bits(self) -> int:
        """Bits of all kept tokens."""
        return self.kept.numel() * bits_per_token(self.codebook_size)

    @property
    def bits_per_second(self) -> float:
        """Bit rate: bits of the kept tokens over the length of the recording."""
        return self.n_bits * self.sample_rate / self.n_samples


def save(path: str | Path, file: TokenFile, overwrite: bool = False) -> None:
    """Write a token file atomically.

    Args:
        path: the output.
        file: its contents.
        overwrite: replace a file that exists.

    Raises:
        InputError: the file exists, the folder is not writable or full, or the recording is too long.
        ValueError: a kept token is no class of the codebook.
    """
    if file.tokens.numel() > MOST_TOKENS:
        raise InputError(
            f"{file.tokens.numel()} tokens are more than the {MOST_TOKENS} of a .vamp file", "cut the recording"
        )
    data = _to_bytes(file)
    with replacing(Path(path), overwrite) as temp:
        temp.write_bytes(data)


def _to_bytes(file: TokenFile) -> bytes:
    kept = file.kept.cpu().numpy().ravel()
    if not ((kept >= 0) & (kept < file.codebook_size)).all():
        raise ValueError(
            f"kept tokens go from {kept.min()} to {kept.max()}, classes from 0 to {file.codebook_size - 1}"
        )
    payload = pack(kept, bits_per_token(file.codebook_size))
    facts = {f.name: getattr(file, f.name) for f in fields(file) if f.name != "tokens"}
    facts |= {"format": FORMAT, "shape": list(file.tokens.shape), "recipe": to_table(file.recipe)}
    return seal(json.dumps(facts, separators=(",", ":")), payload)


def seal(text: str, payload: npt.NDArray[np.uint8]) -> bytes:
    """Return the bytes of a token file with these facts, as JSON, and packed tokens."""
    packed = deflate(text)
    sealed = hashlib.sha256(packed + payload.tobytes()).digest() + packed
    return to_bytes({_CODES: payload, _FACTS: np.frombuffer(sealed, np.uint8)})


def without_source(file: TokenFile) -> TokenFile:
    """Leave name, hash and history of the recording out; what makes the sound stays."""
    return replace(file, recipe=replace(file.recipe, source=InputSource("", "")))


def file_hash(file: TokenFile) -> str:
    """Return the SHA-256 of the bytes that `save` writes."""
    return hashlib.sha256(_to_bytes(file)).hexdigest()


def load(path: str | Path) -> TokenFile:
    """Read a token file; no model is needed.

    Raises:
        InputError: the file is missing, damaged, of another format, or no token file.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder", "name a .vamp file")
    facts, payload = _read(path)
    if facts.pop("format", None) not in (FORMAT, _EARLIER):
        raise InputError(
            f"{path} is of another format than {_EARLIER} and {FORMAT}", "update vamp, or make an old file again"
        )
    try:
        file = _from_facts(facts)
        n_bits = bits_per_token(file.codebook_size)
        if len(payload) != -(-file.n_bits // 8):
            raise ValueError(f"{len(payload)} bytes of tokens, not {-(-file.n_bits // 8)}")
        kept = unpack(payload, file.kept.numel(), n_bits)
        if kept.max(initial=0) >= file.codebook_size:
            raise ValueError(f"a token is {kept.max()}, of {file.codebook_size} classes")
    except UsageError as error:
        raise InputError(f"{path} is damaged: {error.message}, and {error.hint}", _CURE) from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged: {error}", _CURE) from error
    file = replace(file, tokens=torch.zeros(file.tokens.shape, dtype=torch.int64))
    file.kept.copy_(torch.from_numpy(kept).view(file.kept.shape))
    return file


def _read(path: Path) -> tuple[dict[str, Any], npt.NDArray[np.uint8]]:
    """Read facts and packed tokens, and verify the checksum."""
    with open_tensors(path, "np", cure=_CURE, noun=".vamp file") as file:
        names, text = sorted(file.keys()), (file.metadata() or {}).get(_EARLIER_FACTS, "")
        if names != [_CODES, _FACTS] and (names != [_CODES] or not text):
            raise InputError(f"{path} is no .vamp file", "name one that `vamp compress` has made")
        for name, limit in zip(names, (2 * MOST_TOKENS, _MOST_TEXT), strict=False):
            tensor = file.get_slice(name)
            shape, dtype = tensor.get_shape(), tensor.get_dtype()
            if len(shape) != 1 or shape[0] > limit or dtype != "U8":
                raise InputError(f"{path} is damaged: {name} is {dtype} {shape}", _CURE)
        payload = file.get_tensor(_CODES)
        sealed = file.get_tensor(_FACTS).tobytes() if _FACTS in names else None
    try:
        if sealed is not None:
            text = _unsealed(sealed, payload)
        elif len(text) > _MOST_TEXT:
            raise ValueError(f"it has {len(text)} bytes of facts")
        facts = parse_json(text, f"{path}, its facts,", cure=_CURE)
        if not isinstance(facts, dict):
            raise ValueError("its facts are no table")
        if sealed is None and text != _with_checksum(facts, payload):
            raise ValueError("its checksum does not fit")
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}", _CURE) from error
    return facts, payload


def _unsealed(sealed: bytes, payload: npt.NDArray[np.uint8]) -> str:
    """Return the facts behind a checksum.

    Raises:
        ValueError: the checksum does not fit, or the facts cannot be unpacked.
    """
    packed = sealed[_N_DIGEST:]
    if hashlib.sha256(packed + payload.tobytes()).digest() != sealed[:_N_DIGEST]:
        raise ValueError("its checksum does not fit")
    return inflate(packed, _MOST_TEXT)


def _with_checksum(facts: dict[str, Any], payload: npt.NDArray[np.uint8]) -> str:
    """Return facts of format 2 as they were written; their checksum, if it is there, is taken out and made again."""
    facts.pop(_SEAL, None)
    digest = hashlib.sha256(json.dumps(facts).encode())
    digest.update(payload.tobytes())
    return json.dumps({**facts, _SEAL: digest.hexdigest()})


def _from_facts(facts: dict[str, Any]) -> TokenFile:
    """Make a token file whose tokens are 0 and take no memory."""
    shape = facts.pop("shape", None)
    is_shape = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    if not is_shape or math.prod(shape) > MOST_TOKENS:
        raise ValueError(f"tokens of shape {shown(shape)}")
    tokens = torch.zeros((), dtype=torch.int64).expand(shape)
    if isinstance(recipe := facts.get("recipe"), dict):
        facts["recipe"] = with_new_names(recipe)
    return from_table(TokenFile, {"tokens": tokens, **facts}, "its facts")
