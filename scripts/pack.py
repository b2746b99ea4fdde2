"""Pack prepared audio or tokens into files small enough to carry to a GPU, and unpack them there.

    python scripts/pack.py audio --train data/train --validation data/val -o packs
    python scripts/pack.py tokens --train data/tokens-train --validation data/tokens-val --model data/frozen -o packs
    python scripts/pack.py unpack packs -o work

Audio is packed as mono Opus, the middle of every piece, as long as fits (or `--hours`) but 20 s at least, which may
leave pieces out; tokens are packed without loss,
ten bits each for a codec of 1024 codes, with the codec that made them. Both are zip archives of at most `--max-mb`,
`--pieces` of them at most; each holds a manifest with authors, licences and splits of what is in it.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile as sf
import torch

from vampcli.audio.resample import resample
from vampcli.checkpoints.folder import CONFIG, read_config
from vampcli.checkpoints.headers import stored_hash
from vampcli.cli.console import guarded
from vampcli.errors import InputError
from vampcli.files import child
from vampcli.train.data import MANIFEST, Pool, read_manifest, refuse_held_out, save_tensors, write_manifest

OPUS_RATE = 48000
SPLITS = ("validation", "train")  # in the order of packing: it is training pieces that may find no room
TOKENS = "tokens-"  # before the split, for a folder of tokens
FOLDERS = ("frozen", *SPLITS, *(TOKENS + split for split in SPLITS))
_VALIDATION_SHARE = 0.05  # of the time that is packed
_SHORTEST_S = 20.0  # excerpts; shorter ones would be of no use to token models
_HEADERS = 600  # bytes of an archive for each file, generously
_FRACTION_FILLED = 0.85  # of the room: Opus takes more than it was asked for

Member = tuple[str, bytes, dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack or unpack; returns the exit code."""
    options = parse(arguments)
    if options.what == "unpack":
        unpack(archives(options.packs), options.out)
        return 0
    refuse_held_out(read_manifest(options.train), options.train)
    extra: list[tuple[str, bytes]] = []
    if options.what == "audio":
        room_s = options.pieces * options.max_mb * 8e3 / options.kbps * _FRACTION_FILLED
        members = audio_members(options.train, options.validation, min(room_s, options.hours * 3600), options.kbps)
    else:
        members = token_members(options.train, options.validation)
        extra = codec_files(options.model)
    n_written, n_left_out = write_pieces(members, extra, options.out, round(options.max_mb * 1e6), options.pieces)
    sys.stderr.write(f"{n_written} archives in {options.out}\n")
    if n_left_out:
        sys.stderr.write(f"no room for {n_left_out} files: raise --pieces, or lower --hours or --kbps\n")
    return 0


def audio_members(train: Path, validation: Path, seconds: float, kbps: float) -> Iterator[Member]:
    """Excerpts from the middle of every piece, as Opus: name in the archive, bytes, entry of the manifest."""
    for split, folder, room in zip(
        SPLITS, (validation, train), (seconds * _VALIDATION_SHARE, seconds * (1 - _VALIDATION_SHARE)), strict=True
    ):
        pool = Pool(folder, "samples")
        rates = np.array([entry.get("sample_rate", 44100) for entry in pool.entries])
        longest = max(_SHORTEST_S, level_with_sum(pool.lengths / rates, room))
        packed_s = 0.0
        for entry, piece, rate in shuffle(zip(pool.entries, pool.pieces, rates.tolist(), strict=True)):
            if packed_s >= room:
                break
            length = min(entry["n_samples"], round(longest * rate))
            packed_s += length / rate
            start = (entry["n_samples"] - length) // 2
            samples = piece[start : start + length].numpy().astype(np.float32) / 32768
            new = {**entry, "n_samples": length, "sample_rate": rate, "seconds": round(length / rate, 3)}
            new["start_s"] = entry.get("start_s", 0.0) + round(start / rate, 3)
            yield f"{split}/{Path(entry['file']).stem}.opus", as_opus(samples, rate, kbps), new


def token_members(train: Path, validation: Path) -> Iterator[Member]:
    """All tokens, bit by bit: name in the archive, bytes, entry of the manifest."""
    for split, folder in zip(SPLITS, (validation, train), strict=True):
        pool = Pool(folder, "codes")
        for entry, piece in shuffle(zip(pool.entries, pool.pieces, strict=True)):
            codes = piece[:].numpy()
            n_bits = max(1, int(codes.max()).bit_length())
            new = {**entry, "shape": list(codes.shape), "n_bits": n_bits}
            yield f"{TOKENS}{split}/{Path(entry['file']).stem}.bits", as_bits(codes, n_bits), new


def shuffle(items: Iterable[Any]) -> list[Any]:
    """Return a fixed random order, so that pieces without room are a random sample."""
    listed = list(items)
    return [listed[i] for i in np.random.default_rng(0).permutation(len(listed))]


def level_with_sum(lengths: npt.NDArray[np.float64], total: float) -> float:
    """The length to shorten to, so that all together are `total` long; the longest if that is more than all."""
    ascending = np.sort(lengths)
    sums = np.cumsum(ascending)
    for i, length in enumerate(ascending):
        before = sums[i] - length
        if before + length * (len(ascending) - i) >= total:
            return float((total - before) / (len(ascending) - i))
    return float(ascending[-1])


def as_opus(samples: npt.NDArray[np.float32], rate: int, kbps: float) -> bytes:
    """Mono Opus: float32 (n_samples,) at `rate` Hz; libsndfile's levels are 256 to 6 kbit/s."""
    file = io.BytesIO()
    level = float(np.clip(1 - (kbps - 6) / 250, 0, 1))
    coded = resample(samples[None], rate, OPUS_RATE)[0]
    sf.write(file, coded, OPUS_RATE, format="OGG", subtype="OPUS", compression_level=level)
    return file.getvalue()


def from_opus(data: bytes, rate: int, n_samples: int) -> torch.Tensor:
    """The inverse of `as_opus`: int16 (n_samples,)."""
    decoded, own_rate = sf.read(io.BytesIO(data), dtype="float32")
    samples = resample(decoded[None], own_rate, rate)[0][:n_samples]
    whole = np.pad(samples, (0, n_samples - len(samples)))
    return torch.from_numpy(np.round(np.clip(whole, -1, 32767 / 32768) * 32768).astype(np.int16))


def as_bits(codes: npt.NDArray[np.int16], n_bits: int) -> bytes:
    """The lowest bits of each number, without gaps."""
    bits = codes.reshape(-1, 1) >> np.arange(n_bits, dtype=np.int16) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def from_bits(data: bytes, n_bits: int, shape: Sequence[int]) -> torch.Tensor:
    """The inverse of `as_bits`: int16 of that shape."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=int(np.prod(shape)) * n_bits).reshape(-1, n_bits)
    codes = (bits.astype(np.int16) << np.arange(n_bits, dtype=np.int16)).sum(1, dtype=np.int16)
    return torch.from_numpy(codes.reshape(*shape))


def codec_files(model: Path) -> list[tuple[str, bytes]]:
    """A model folder with nothing but the codec of this one: names in the archive, bytes."""
    config = {key: value for key, value in read_config(model).items() if key not in ("coarse", "fine")}
    stored_hash(model / "codec.safetensors")  # or it says what is wrong with the file
    weights = (model / "codec.safetensors").read_bytes()
    return [(f"frozen/{CONFIG}", json.dumps(config).encode()), ("frozen/codec.safetensors", weights)]


def write_pieces(
    members: Iterable[Member], extra: Sequence[tuple[str, bytes]], out: Path, max_bytes: int, n_pieces: int
) -> tuple[int, int]:
    """Fill one archive after the other; `extra` lies in the first. Returns archives written, and members left out."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {out}: {error.strerror}", "name another with --out") from error
    n_written = n_left_out = 0
    piece: list[Member] = []
    fixed = size = sum(len(data) for _, data in extra) + 10_000
    for member in members:
        own = len(member[1]) + _HEADERS + len(json.dumps(member[2], indent=1))
        if size + own > max_bytes and piece and n_written < n_pieces:
            _write_piece(piece, extra if n_written == 0 else [], out / f"piece-{n_written:03d}.zip")
            n_written, piece, fixed = n_written + 1, [], 10_000
            size = fixed
        if n_written == n_pieces or size + own > max_bytes:
            n_left_out += 1
            continue
        piece.append(member)
        size += own
    if piece:
        _write_piece(piece, extra if n_written == 0 else [], out / f"piece-{n_written:03d}.zip")
        n_written += 1
    return n_written, n_left_out


def _write_piece(members: list[Member], extra: Sequence[tuple[str, bytes]], path: Path) -> None:
    manifests: dict[str, list[dict[str, Any]]] = {}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in extra:
            archive.writestr(name, data)
        for name, data, entry in members:
            archive.writestr(name, data)
            manifests.setdefault(name.split("/")[0], []).append({**entry, "packed": name})
        for folder, entries in manifests.items():
            archive.writestr(f"{folder}/{MANIFEST}", json.dumps(entries, indent=1))


def archives(place: Path) -> list[Path]:
    """An archive, or all of a folder.

    Raises:
        InputError: there is none, or one is damaged.
    """
    found = sorted(place.glob("*.zip")) if place.is_dir() else [place]
    if not found:
        raise InputError(f"there are no archives in {place}", "name what `scripts/pack.py` wrote")
    for path in found:
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path} is missing, or no whole archive", "carry it again")
    return found


def unpack(packs: Sequence[Path], out: Path) -> None:
    """Make folders as `vamp prepare` and `vamp train tokens` do; what is there already is kept."""
    entries: dict[str, list[dict[str, Any]]] = {}
    jobs: list[tuple[Path, dict[str, Any], Path]] = []
    for path in packs:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                folder, _, file = name.partition("/")
                if folder not in FOLDERS:
                    raise InputError(f"{path} holds {name}", "it is no archive of `scripts/pack.py`; pack again")
                if folder == "frozen":
                    archive.extract(name, out)
                if file != MANIFEST:
                    continue
                (out / folder).mkdir(parents=True, exist_ok=True)
                own = json.loads(archive.read(name))
                entries.setdefault(folder, []).extend(own)
                jobs += [(path, entry, child(out / folder, entry["file"], path)) for entry in own]
    with ThreadPoolExecutor() as workers:
        list(workers.map(lambda job: _unpack_one(*job), jobs))
    for folder, own in entries.items():
        write_manifest(out / folder, own)


def _unpack_one(path: Path, entry: dict[str, Any], target: Path) -> None:
    if target.exists():
        return
    with zipfile.ZipFile(path) as archive:
        data = archive.read(entry["packed"])
    if "n_bits" in entry:
        save_tensors({"codes": from_bits(data, entry["n_bits"], entry["shape"])}, target)
    else:
        save_tensors({"samples": from_opus(data, entry["sample_rate"], entry["n_samples"])}, target)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for what in ("audio", "tokens"):
        command = commands.add_parser(what)
        command.add_argument("--train", type=Path, required=True)
        command.add_argument("--validation", type=Path, required=True)
        command.add_argument("-o", "--out", type=Path, required=True)
        command.add_argument("--max-mb", type=float, default=60.0, help="of one archive")
        command.add_argument("--pieces", type=int, default=1, help="archives at most")
    commands.choices["audio"].add_argument("--kbps", type=float, default=32.0)
    commands.choices["audio"].add_argument("--hours", type=float, default=float("inf"))
    commands.choices["tokens"].add_argument("--model", type=Path, required=True, help="whose codec made them")
    command = commands.add_parser("unpack")
    command.add_argument("packs", type=Path, help="an archive, or a folder of them")
    command.add_argument("-o", "--out", type=Path, required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(guarded(main)())
