"""Token files: round trips, size, and damage of every kind."""

import json
import math
import os
import resource
import stat
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save as to_bytes

import oracles
from conftest import limited
from recipes import recipe
from vampcli.errors import ExitCode, InputError, UsageError
from vampcli.recipe import token_file
from vampcli.recipe.packing import deflate, inflate, pack, unpack
from vampcli.recipe.recipe import InputSource
from vampcli.recipe.token_file import TokenFile, load, save
from vampcli.tokens.bitrate import bits_per_second
from vampcli.tokens.grid import TokenGrid

DATA = Path(__file__).parent / "data"


def made(
    n_kept: int = 2, period: int = 1, n_channels: int = 1, n_frames: int = 23, codebook_size: int = 1000
) -> TokenFile:
    """Random tokens of 5 codebooks at 57.4 frames a second."""
    rng = np.random.default_rng(0)
    codes = torch.from_numpy(rng.integers(0, codebook_size, (n_channels, 5, n_frames)))
    return TokenFile(
        tokens=codes,
        n_kept_codebooks=n_kept,
        period=period,
        codebook_size=codebook_size,
        gain=0.1 + 0.2,
        sample_rate=48000,
        n_channels=2,
        n_samples=max(1, n_frames * 768 * 48000 // 44100 - 5),
        subtype="PCM_24",
        recipe=recipe(),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "song.vamp"


def refused(path: Path, *facts: str) -> InputError:
    """Loading raises an InputError with a cure, and one line that names all facts."""
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.exit_code == ExitCode.INPUT
    assert caught.value.hint
    assert "\n" not in caught.value.message
    message = caught.value.message.replace(str(path.parent), "")  # whose name has the name of the test
    assert all(fact in message for fact in (path.name, *facts)), message
    return caught.value


# --- bits


@pytest.mark.parametrize("n_bits", range(1, 17))
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 100])
def test_packed_tokens_are_binary_digits(n: int, n_bits: int) -> None:
    numbers = np.random.default_rng(n).integers(0, 2**n_bits, n)
    numbers[:2] = [2**n_bits - 1, 0][:n]
    found = pack(numbers, n_bits)
    assert found.tobytes() == oracles.packed(numbers.tolist(), n_bits)
    assert unpack(found, n, n_bits).tolist() == numbers.tolist()


# --- what is saved


@pytest.mark.parametrize("n_kept", [0, 1, 5])
@pytest.mark.parametrize("period", [0, 1, 2, 22, 23, 1000])
@pytest.mark.parametrize(("n_channels", "codebook_size"), [(1, 2), (2, 1000), (1, 65536)])
def test_kept_tokens_survive_others_are_0(
    path: Path, n_kept: int, period: int, n_channels: int, codebook_size: int
) -> None:
    file = made(n_kept, period, n_channels, codebook_size=codebook_size)
    save(path, file)
    again = load(path)
    kept = [[c < n_kept and period > 0 and f % period == 0 for f in range(23)] for c in range(5)]
    assert (~again.mask).tolist() == kept
    assert torch.equal(again.tokens, file.tokens * torch.tensor(kept))
    assert again.tokens.dtype == torch.int64
    for field in fields(TokenFile):
        if field.name != "tokens":
            assert getattr(again, field.name) == getattr(file, field.name)


def test_files_of_format_2_are_read() -> None:
    """`data/format2.vamp` was written by an older version."""
    assert torch.equal(load(DATA / "format2.vamp").kept, made().kept)
    for field in fields(TokenFile):
        if field.name != "tokens":
            assert getattr(load(DATA / "format2.vamp"), field.name) == getattr(made(), field.name)


def test_files_of_format_3_are_read() -> None:
    """Their dictionary never changes."""
    assert load(DATA / "format3.vamp").recipe == made().recipe
    assert torch.equal(load(DATA / "format3.vamp").kept, made().kept)


def test_facts_are_small(path: Path) -> None:
    save(path, made(n_frames=1))
    assert path.stat().st_size <= 500  # 1,386 in format 2
    save(path, token_file.without_source(made(n_frames=1)), overwrite=True)
    assert path.stat().st_size <= 440
    assert load(path).recipe == replace(made().recipe, source=InputSource("", ""))


def test_hidden_tokens_do_not_matter(path: Path, tmp_path: Path) -> None:
    file = made(2, 3)
    save(path, file)
    save(tmp_path / "b.vamp", replace(file, tokens=torch.where(file.mask, -5, file.tokens)))
    assert (tmp_path / "b.vamp").read_bytes() == path.read_bytes()


def test_kept_token_out_of_range(path: Path) -> None:
    file = made()
    file.tokens[0, 1, 3] = 1000
    with pytest.raises(ValueError, match="to 1000, classes from 0 to 999"):
        save(path, file)
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("n_kept_codebooks", [6]), ("period", [-1]), ("codebook_size", [1, 65537]), ("sample_rate", [0])),
        *(("n_channels", [0, 3]), ("n_samples", [0]), ("gain", [0.0, math.nan, math.inf]), ("subtype", ["MP3"])),
    ],
)
def test_numbers_out_of_range(name: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(UsageError, match=name):
            replace(made(), **{name: value})


@pytest.mark.parametrize(("n_kept", "period"), [(5, 1), (1, 1), (1, 13), (3, 0)])
@pytest.mark.parametrize("n_frames", [1, 600, 20_000])
def test_size_follows_from_bit_rate(path: Path, n_kept: int, period: int, n_frames: int) -> None:
    file = made(n_kept, period, 2, n_frames, 1024)
    save(path, file)
    duration_s = file.n_samples / file.sample_rate
    n_kept_tokens = 2 * int((~file.mask).sum())
    assert file.bits_per_second == pytest.approx(n_kept_tokens * 10 / duration_s)
    assert path.stat().st_size <= 1.1 * file.bits_per_second * duration_s / 8 + 2000


def test_bit_rate_equals_that_of_prompt() -> None:
    grid = TokenGrid(44100, 768, 5, 1024)
    file = made(3, 13, 2, 13 * 3000, 1024)
    assert file.bits_per_second == pytest.approx(2 * bits_per_second(grid, 3, 13), rel=1e-4)


def test_saving_twice_gives_equal_bytes(path: Path) -> None:
    save(path, made())
    first = path.read_bytes()
    save(path, load(path), overwrite=True)
    assert path.read_bytes() == first


def test_failed_writes_change_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    save(path, made())
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists"):
        save(path, made(5))
    with pytest.raises(InputError, match="cannot write"):
        save(path.parent / "none" / "a.vamp", made())
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"cannot write .*no space left"):
        save(path, made(5), overwrite=True)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions_are_those_of_new_files(path: Path) -> None:
    save(path, made())
    (other := path.with_name("other")).touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_too_many_tokens(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_file, "MOST_TOKENS", 100)
    with pytest.raises(InputError, match="115 tokens are more than the 100"):
        save(path, made())
    assert not path.exists()


# --- damage


def test_missing_file_and_folder(path: Path) -> None:
    refused(path, "no such file")
    path.mkdir()
    refused(path, "is a folder")


OTHER_FILES = [b"", b"RIFF", b"RIFF\x24\0\0\0WAVEfmt " + bytes(100), b"{}" * 50, bytes(5000)]
OTHER_FILES += [to_bytes({"codes": np.zeros(3, np.uint8)}), to_bytes({"x": np.zeros(3, np.uint8)}, {"vamp": "{}"})]


@pytest.mark.parametrize("content", OTHER_FILES)
def test_other_files(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, "no .vamp file")


def test_truncations(path: Path) -> None:
    save(path, made())
    whole = path.read_bytes()
    for n in [*range(0, len(whole), 13), *range(len(whole) - 9, len(whole))]:
        path.write_bytes(whole[:n])
        refused(path)
    path.write_bytes(whole + b"\0")
    refused(path)


def test_every_byte_is_checked(path: Path) -> None:
    save(path, made(n_frames=3))
    with path.open("r+b", buffering=0) as file:
        for place, byte in enumerate(path.read_bytes()):
            for bit in (5 * place % 8, (5 * place + 3) % 8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), place)
                refused(path)
            os.pwrite(file.fileno(), bytes([byte]), place)
    load(path)


@pytest.mark.parametrize("size", [1, 10**6, 10**9, 2**40, 2**63, 2**64 - 1])
def test_header_of_wrong_size(path: Path, size: int) -> None:
    save(path, made())
    path.write_bytes(size.to_bytes(8, "little") + path.read_bytes()[8:])
    refused(path, "damaged, or no .vamp file")


def forged(path: Path, edit: Callable[[dict[str, Any]], Any], payload: np.ndarray | None = None) -> None:
    """Write a file with a valid checksum over other facts, or another payload."""
    save(path, made(), overwrite=True)
    with safe_open(path, framework="np") as file:
        facts, codes = json.loads(inflate(file.get_tensor("facts").tobytes()[32:], 10**6)), file.get_tensor("codes")
    edit(facts)
    path.write_bytes(token_file.seal(json.dumps(facts), codes if payload is None else payload))


@pytest.mark.parametrize("version", [1, 4, "3", None])
def test_another_version(path: Path, version: object) -> None:
    forged(path, lambda facts: facts.update(format=version))
    assert refused(path, "another format than 2 and 3").hint.startswith("update vamp")


@pytest.mark.parametrize(
    "change",
    [{"shape": shape} for shape in ([1, 5, 24], [2, 5, 23], [5, 23], [1, 5, 0], [1, -5, -23], [1, 5, 23.0], 115, None)]
    + [{"n_kept_codebooks": 1}, {"n_kept_codebooks": 6}, {"period": 2}, {"period": 0}, {"period": True}]
    + [{"codebook_size": size} for size in (1, 512, 1e3, 10**30)]
    + [{"shape": [1, 5, 2**60]}, {"shape": [1, 2**40, 2**40], "period": 2**41}, {"shape": [3, 5, 23]}]
    + [
        {"n_samples": 0},
        {"n_samples": 2**80},
        {"sample_rate": "48000"},
        {"gain": math.nan},
        {"recipe": 5},
        {"more": 1},
    ],
)
def test_contradicting_facts(path: Path, change: dict[str, Any]) -> None:
    forged(path, lambda facts: facts.update(change))
    refused(path, "is damaged")


@pytest.mark.parametrize("name", ["shape", "recipe", "gain", "subtype"])
def test_missing_fact(path: Path, name: str) -> None:
    forged(path, lambda facts: facts.pop(name))
    refused(path, name)


@pytest.mark.parametrize(
    "sampling",
    [None, 5, ["a"], {"steps": 0}, {"steps": "36"}, {"top_p": 2}, {"sample_cutoff": math.nan}, {"unknown": 1}],
)
def test_bad_sampling_options(path: Path, sampling: object) -> None:
    forged(path, lambda facts: facts["recipe"].update(sampling=sampling))
    refused(path, "is damaged", *(sampling if isinstance(sampling, dict) else ["sampling"]))


def test_missing_sampling_option_has_its_default(path: Path) -> None:
    forged(path, lambda facts: facts["recipe"]["sampling"].pop("top_p"))
    assert load(path).recipe == made().recipe


@pytest.mark.parametrize("text", ["[", "[" * 60_000, "[" * 70_000, "5", "[]", "null", '{"sha256": "a"}', "\0"])
def test_facts_of_wrong_form(path: Path, text: str) -> None:
    path.write_bytes(to_bytes({"codes": np.zeros(3, np.uint8)}, {"vamp": text}))
    refused(path, "is damaged")
    path.write_bytes(token_file.seal(text, np.zeros(3, np.uint8)))
    refused(path)


@pytest.mark.parametrize(
    ("packed", "fact"),
    [
        (b"", "end after 0 bytes"),
        (b"\xff" * 9, "cannot be unpacked"),
        (deflate("{}")[:-1], "end after"),
        (deflate("{}") + b"\0", "end after 2 bytes"),
        (zlib.compressobj(9, zlib.DEFLATED, -15).compress(bytes(2**24)), "more than 8388608 bytes"),
    ],
)
def test_damaged_compression(path: Path, packed: bytes, fact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_file, "deflate", lambda text: packed)
    path.write_bytes(token_file.seal("", np.zeros(3, np.uint8)))
    refused(path, fact)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to bound the memory")
def test_decompression_bomb_takes_little_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(2**24)) for _ in range(64)) + packer.flush()  # 1 GB
    monkeypatch.setattr(token_file, "deflate", lambda text: bomb)
    path.write_bytes(token_file.seal("", np.zeros(3, np.uint8)))
    with memory_of(2**26):
        refused(path, "more than 8388608 bytes")


@pytest.mark.parametrize(
    ("payload", "fact"),
    [
        (np.zeros(58, np.int8), "is damaged"),
        (np.zeros((2, 29), np.uint8), "is damaged"),
        (np.zeros(57, np.uint8), "is damaged"),
        (np.full(58, 255, np.uint8), "a token is 1023, of 1000 classes"),
    ],
)
def test_bad_payloads(path: Path, payload: np.ndarray, fact: str) -> None:
    forged(path, lambda facts: None, payload)
    refused(path, fact)


def memory_of(n_bytes: int) -> AbstractContextManager[None]:
    """Limit further allocations to `n_bytes`."""
    n_pages = int(Path("/proc/self/statm").read_text().split()[0])
    return limited(resource.RLIMIT_AS, n_pages * resource.getpagesize() + n_bytes)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to bound the memory")
@pytest.mark.parametrize("shape", [[2, 64, 2**18], [1, 1, 2**40], [2**40, 2**40, 2**40]])
@pytest.mark.parametrize("period", [0, 1, 2**40])
def test_absurd_sizes_take_no_memory(path: Path, shape: list[int], period: int) -> None:
    forged(path, lambda facts: facts.update(shape=shape, period=period))
    with memory_of(2**26):
        refused(path, "is damaged")
