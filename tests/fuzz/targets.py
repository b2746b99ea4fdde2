"""What is read: for each kind of file, sound files to begin with, how to damage them, and what reads them."""

from __future__ import annotations

import io
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import mutate
import numpy as np
import torch
from safetensors.numpy import load

import tagged
import vampcli
from conftest import music, tiny_parts
from recipes import recipe
from vampcli.audio import markers, read, riff
from vampcli.audio.metadata import carry, wav_time
from vampcli.audio.metadata.base import Timeline
from vampcli.checkpoints import adapter_file, listing
from vampcli.checkpoints.adapter_file import Facts
from vampcli.checkpoints.folder import read_metadata
from vampcli.checkpoints.headers import stored_hash
from vampcli.checkpoints.registry import ModelPaths
from vampcli.checkpoints.weights import load_parts, save_parts
from vampcli.cli.commands import replay
from vampcli.cli.main import main
from vampcli.cli.options import Common
from vampcli.config import MemoryConfig, MusicalSpan, Place, PromptConfig, Source, TempoConfig
from vampcli.errors import VampError
from vampcli.evaluate.spec import read_experiment
from vampcli.model import lora
from vampcli.recipe import recipe as recipes
from vampcli.recipe import token_file
from vampcli.recipe.embed import recipe_of
from vampcli.recipe.packing import inflate
from vampcli.tasks import registry
from vampcli.tasks.compress import Compress
from vampcli.tasks.inpaint import Inpaint
from vampcli.tasks.loop import Loop
from vampcli.tasks.outpaint import Outpaint
from vampcli.tasks.spans import SpanRequest
from vampcli.tasks.vamp import Vamp
from vampcli.tokens import mask_file
from vampcli.train.config import CodecRun, TokenRun, load_run
from vampcli.train.credits import CREDITED, credits_text
from vampcli.train.data import MANIFEST, Pool, read_manifest, save_tensors, training_pool

CPU = torch.device("cpu")


class Target(ABC):
    """A kind of file."""

    name: str

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Write what all cases share."""

    @abstractmethod
    def damage(self, rng: Random, folder: Path) -> Path:
        """Write a damaged file."""

    @abstractmethod
    def read(self, path: Path) -> None:
        """Read it in every way that the product does."""


def attempt(*calls: Callable[[], Any]) -> None:
    """Call all, also after errors of ours."""
    for call in calls:
        with suppress(VampError):
            call()


def rewrapped(rng: Random, data: bytes, seal: Callable[[dict[str, Any], bytes], str] | None = None) -> bytes:
    """A safetensors file with changes in its bytes, its header, or the JSON in its metadata, which `seal` writes."""
    if (how := rng.random()) < 0.3:
        return mutate.content(rng, data)
    n = int.from_bytes(data[:8], "little")
    header, payload = json.loads(data[8 : 8 + n]), data[8 + n :]
    if how < 0.6:
        text = mutate.json_text(rng, header)
    else:
        key = next(iter(header["__metadata__"]))
        facts = mutate.tree(rng, json.loads(header["__metadata__"][key]))
        header["__metadata__"][key] = seal(facts, payload) if seal and isinstance(facts, dict) else json.dumps(facts)
        text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + payload


class Audio(Target):
    name = "audio"

    def prepare(self, folder: Path) -> None:
        clip = vampcli.Waveform(music(0.06, 8000, 2).astype(np.float32), 8000, "FLOAT")
        self.seeds = []
        for suffix, subtype in (
            ("wav", "PCM_16"),
            ("wav", "FLOAT"),
            ("flac", ""),
            ("ogg", ""),
            ("mp3", ""),
            ("aiff", ""),
        ):
            path = folder / f"seed.{suffix}"
            kept = subtype == "FLOAT"
            carried = carry.Metadata("WAV", tagged.CHUNKS, path.name) if kept or suffix != "wav" else None
            loop = (9, 99) if kept else None
            vampcli.write(path, clip, subtype, overwrite=True, loop=loop, comment="a" * 40, metadata=carried)
            self.seeds.append((suffix, path.read_bytes()))

    def damage(self, rng: Random, folder: Path) -> Path:
        suffix, seed = rng.choice(self.seeds)
        path = folder / f"case.{suffix}"
        path.write_bytes(mutate.content(rng, seed))
        return path

    def read(self, path: Path) -> None:
        attempt(
            lambda: read.read(path),
            lambda: read.inspect(path),
            lambda: recipe_of(path),
            lambda: wav_time.cue_points(path),
            lambda: carried_on(path),
        )


def carried_on(path: Path) -> None:
    """Prepare the metadata of a file for results in all containers, on its time line and on another."""
    metadata = read.read_metadata(path)
    longer = Timeline(0, 480, 100, 700, 8000)
    for one in (metadata, carry.moved(metadata, longer), carry.moved(metadata, None)):
        for container in carry.CONTAINERS:
            carry.prepare(container, one, "{}", (9, 99), 8000)
    metadata.tempo()


class Tokens(Target):
    name = "tokens"

    def prepare(self, folder: Path) -> None:
        codes = torch.from_numpy(np.random.default_rng(0).integers(0, 100, (1, 5, 23)))
        facts = (2, 2, 100, 0.5, 44100, 1, 19221, "PCM_16", recipe())
        token_file.save(folder / "seed.vamp", token_file.TokenFile(codes, *facts), overwrite=True)
        self.seed = (folder / "seed.vamp").read_bytes()

        self.codes = load(self.seed)["codes"]
        self.facts = json.loads(inflate(load(self.seed)["facts"].tobytes()[32:], 10**6))
        self.earlier = (Path(__file__).parents[1] / "data/format2.vamp").read_bytes()

    def damage(self, rng: Random, folder: Path) -> Path:
        def checked(facts: dict[str, Any], payload: bytes) -> str:
            return token_file._with_checksum(facts, np.frombuffer(payload, np.uint8))

        path = folder / "case.vamp"
        if (how := rng.random()) < 0.4:
            path.write_bytes(token_file.seal(json.dumps(mutate.tree(rng, self.facts)), self.codes))
        elif how < 0.7:
            path.write_bytes(mutate.content(rng, self.seed))
        else:
            path.write_bytes(rewrapped(rng, self.earlier, checked))
        return path

    def read(self, path: Path) -> None:
        file = token_file.load(path)
        attempt(lambda: (file.mask, file.bits_per_second, token_file.file_hash(file)))


class Recipes(Target):
    name = "recipe"

    def prepare(self, folder: Path) -> None:
        sources = (Source(3, 9, Place(1, 0.5, file="other.wav")),)
        tasks = [
            Inpaint(
                SpanRequest(((1.0, 2.5), MusicalSpan("bars", 1, 2)), TempoConfig(90.0, 0.5, 3), "beat"), "auto", 4.0
            ),
            Inpaint(SpanRequest(((1.0, 2.5),)), memory=MemoryConfig(0.5, 0.1, None, ("other.wav",), sources)),
            Outpaint(1.5, 0.25, 2),
            Loop(SpanRequest(((0.0, 1.0),)), 4, 0.5, 0.2),
            Vamp(PromptConfig(beats=True, beat_width=20.0, keep_codebooks=2), SpanRequest(), 0.5, 0.25),
            Vamp(at=SpanRequest(((0.5, 0.9),)), mask=mask_file.MaskFile("own.npy", "0123")),
            Compress(2, 1),
        ]
        made = [recipe(command=task.command, request=registry.to_table(task)) for task in tasks]
        made.append(recipe(source=recipes.InputSource("made.wav", "0" * 64, made[0])))
        self.seeds = [recipes.to_table(one) for one in made]

    def damage(self, rng: Random, folder: Path) -> Path:
        path, table = folder / "case.json", mutate.tree(rng, rng.choice(self.seeds))
        text = json.dumps({"vamp_recipe": table, "sha256": recipes._seal(table)}).encode()
        path.write_bytes(mutate.content(rng, text) if rng.random() < 0.3 else text)
        return path

    def read(self, path: Path) -> None:
        found = recipe_of(path)
        if found is None:
            return
        attempt(
            lambda: recipes.to_text(found),
            lambda: found.licences,
            lambda: replay._made_by(found, replay._common(found, Common(), "mini"), "case"),
            lambda: replay._model_path(found.made_by.model),
            lambda: registry.task_from_table(found.command, found.request, "case"),
        )


class Config(Target):
    name = "config"

    def prepare(self, folder: Path) -> None:
        self.model = folder / "model"
        save_parts(self.model, "magnitude", tiny_parts())
        self.seed = json.loads((self.model / "config.json").read_text())
        dac = {"encoder_rates": [2, 4], "decoder_rates": [4, 2], "n_codebooks": 5, "codebook_size": 32}
        self.seeds = [self.seed] * 3 + [self.seed | {"codec": {"kind": kind} | dac} for kind in ("dac", "lac")]

    def damage(self, rng: Random, folder: Path) -> Path:
        path = self.model / "config.json"
        path.write_bytes(mutate.json_text(rng, rng.choice(self.seeds)))
        return path

    def read(self, path: Path) -> None:
        folder = path.parent
        attempt(
            lambda: read_metadata(folder),
            lambda: listing.of_model("case", folder),
            lambda: listing._details(ModelPaths(folder)),
            lambda: load_parts(folder, CPU, torch.float32),
        )


class Mask(Target):
    name = "mask"

    def prepare(self, folder: Path) -> None:
        masks = [np.eye(3, 8, dtype=kind) for kind in (bool, np.int64, np.uint8, np.float32)]
        self.seeds = []
        for mask in (*masks, np.asfortranarray(masks[0]), masks[0][0], masks[1].astype(">i2")):
            content = io.BytesIO()
            np.save(content, mask)
            self.seeds.append(content.getvalue())

    def damage(self, rng: Random, folder: Path) -> Path:
        path = folder / "case.npy"
        path.write_bytes(mutate.content(rng, rng.choice(self.seeds)))
        return path

    def read(self, path: Path) -> None:
        mask_file.pin(path).load(3, 8)


class Labels(Target):
    name = "labels"

    def prepare(self, folder: Path) -> None:
        audacity = "0.5\t1.25\tfirst\n\\\t20\t20000\n2,5\t3\t\n4\t4\tpoint\n"
        reaper = '#,Name,Start,End,Length\nR1,"a,b",0:01.5,1:02.25,1\nM1,x,2.5,,\n'
        path = folder / "seed.wav"
        vampcli.write(path, vampcli.Waveform(np.zeros((1, 99), np.float32), 8000, "PCM_16"), overwrite=True)
        point = b"".join(n.to_bytes(4, "little") for n in (1, 1, 5, 0, 0, 0, 5))
        riff.append(path, b"cue ", point)
        riff.append(
            path, b"LIST", b"adtlltxt\x14\0\0\0\x01\0\0\0\x09\0\0\0" + bytes(12) + b"labl\x06\0\0\0\x01\0\0\0a\0"
        )
        self.seeds = [("txt", audacity.encode()), ("csv", reaper.encode()), ("wav", path.read_bytes())]

    def damage(self, rng: Random, folder: Path) -> Path:
        suffix, seed = rng.choice(self.seeds)
        path = folder / f"case.{suffix}"
        path.write_bytes(mutate.content(rng, seed))
        return path

    def read(self, path: Path) -> None:
        markers.read_spans(path)


class Toml(Target):
    name = "toml"

    def prepare(self, folder: Path) -> None:
        loop = {"steps": 10, "optimizer": "muon", "learning_rate": 1e-3, "compile": False, "decay_from": 5}
        sizes = {"n_codebooks": 2, "n_conditioning": 0, "n_layers": 1, "width": 8, "n_heads": 2, "context_frames": 40}
        data = {"train": "a", "validation": "b", "author_cap": 0.5}
        sweep = {
            "name": "x",
            "command": "vamp",
            "request": {"prompt": {"period": 3}},
            "sweep": {"sampling.steps": [1, 2]},
        }
        self.seeds = {
            "vamp.toml": {
                "seed": 3,
                "steps": 4,
                "out": "made/",
                "top_p": 0.9,
                "inpaint": {"span": ["1-2"], "beats": True},
            },
            "tokens.toml": {"data": data, "model": sizes, "n_frames": 30, "loop": loop, "masking": "beta"},
            "codec.toml": {"data": data, "codec": {"n_fft": 1536}, "discriminators": {"windows": [512]}, "loop": loop},
            "experiment.toml": {
                "conditions": [sweep, {"name": "c", "command": "codec"}],
                "takes": 2,
                "baseline": "c",
            },
        }

    def damage(self, rng: Random, folder: Path) -> Path:
        name = rng.choice(list(self.seeds))
        path = folder / name
        path.write_bytes(mutate.toml_text(rng, self.seeds[name]))
        return path

    def read(self, path: Path) -> None:
        if path.name == "experiment.toml":
            read_experiment(path)
        elif path.name != "vamp.toml":
            load_run(path, TokenRun if path.name == "tokens.toml" else CodecRun)
        else:
            printed = io.TextIOWrapper(io.BytesIO(), "utf-8")
            argv = mock.patch.object(sys, "argv", ["vamp", "inpaint", "song.wav", "--print-config"])
            with argv, redirect_stdout(printed), redirect_stderr(printed), suppress(SystemExit):
                main()


class Manifest(Target):
    name = "manifest"

    def prepare(self, folder: Path) -> None:
        names = ("title", "licence", "package", "path", "stamp")
        self.seed, self.files = [], {}
        for i, author in enumerate("AB"):
            name = f"{i}.safetensors"
            save_tensors({"samples": torch.zeros(300, dtype=torch.int16)}, folder / name, {"stamp": "1"})
            self.files[name] = (folder / name).read_bytes()
            entry = {"file": name, "author": author, "n_samples": 300, "seconds": 0.1, "sample_rate": 44100}
            self.seed.append(entry | {key: f"{key} {i}" for key in names} | {"split": "train"})

    def damage(self, rng: Random, folder: Path) -> Path:
        path = folder / MANIFEST
        broken = rng.random() < 0.3
        path.write_bytes(json.dumps(self.seed).encode() if broken else mutate.json_text(rng, self.seed))
        for name, content in self.files.items():
            (folder / name).write_bytes(rewrapped(rng, content) if broken else content)
        return path

    def read(self, path: Path) -> None:
        folder = path.parent
        attempt(
            lambda: credits_text(read_manifest(folder, *CREDITED), "mini", "MIT"),
            lambda: read_manifest(folder, "split", "package", "path"),
            lambda: training_pool(folder, "samples", 0.5).draw(np.random.default_rng(0), 2, 100),
            lambda: Pool(folder, "codes"),
        )


class Adapters(Target):
    name = "adapters"

    def prepare(self, folder: Path) -> None:
        self.model = folder / "model"
        parts = tiny_parts()
        save_parts(self.model, "magnitude", parts)
        assert parts.coarse is not None
        lora.add_pairs(parts.coarse, 2, torch.Generator().manual_seed(0))
        codec_hash, work = stored_hash(self.model / "codec.safetensors"), ({"title": "a", "seconds": 3.0},)
        facts = Facts("case", "tiny", codec_hash, "0" * 64, "MIT", 2, work, 3.0)
        adapter_file.save(folder / "adapter", facts, {"coarse": lora.remove_pairs(parts.coarse)})
        self.seed = (folder / "adapter" / adapter_file.FILE).read_bytes()

    def damage(self, rng: Random, folder: Path) -> Path:
        path = folder / "adapter" / adapter_file.FILE
        path.write_bytes(rewrapped(rng, self.seed))
        return path

    def read(self, path: Path) -> None:
        attempt(
            lambda: listing.of_adapter(path.parent),
            lambda: load_parts(self.model, CPU, torch.float32, path.parent),
        )


ALL: tuple[type[Target], ...] = (Audio, Tokens, Recipes, Config, Mask, Labels, Toml, Manifest, Adapters)
TARGETS = {kind.name: kind() for kind in ALL}
