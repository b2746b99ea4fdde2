"""Damage files at random: bytes, numbers in bytes, and values in the trees of JSON and TOML."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

NUMBERS = (0, 1, -1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, -(2**63), 2**64, 10**30, 10**50)
FLOATS = (0.5, -0.0, 1e-320, 1e-9, 1e9, 1e308, float("nan"), float("inf"), float("-inf"))
TEXTS = ("", " ", "\0", "a" * 5000, "/dev/zero", "../../etc", "-", "{seed}", "\u202e", "\x1b[2J", "ä", "\ud800", "1e9")
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [0], {"": 0}, {"a": {"b": []}})

_NUMBER = re.compile(rb"\d+(?:\.\d+)?")

Tree = Any


def value(rng: Random) -> Tree:
    """An extreme value of any type."""
    return copy.deepcopy(rng.choice(rng.choice((NUMBERS, FLOATS, TEXTS, OTHERS))))


def tree(rng: Random, root: Tree) -> Tree:
    """A copy of a tree of dictionaries and lists with one to three of its values, keys or elements changed."""
    holder = {"": copy.deepcopy(root)}
    for _ in range(rng.randint(1, 3)):
        slots = list(_slots(holder))
        container, key = rng.choice(slots[1:] or slots)
        what = rng.random()
        if what < 0.6:
            container[key] = value(rng)
        elif what < 0.7:
            container[key] = copy.deepcopy(rng.choice(slots)[0])
        elif what < 0.8 and container is not holder:
            del container[key]
        elif what < 0.9 and isinstance(container, dict):
            container[rng.choice((str(key) + "x", "", "format", "\0"))] = container[key]
        else:
            container[key] = _nested(rng, container[key])
    return holder[""]


def _slots(root: Tree) -> Any:
    todo = [root]
    while todo:
        one = todo.pop()
        for key, inner in list(one.items() if isinstance(one, dict) else enumerate(one)):
            yield one, key
            if isinstance(inner, dict | list):
                todo.append(inner)


def _nested(rng: Random, inner: Tree) -> Tree:
    for _ in range(rng.choice((1, 3, 60, 110))):
        inner = [inner] if rng.random() < 0.5 else {"a": inner}
    return inner


def json_text(rng: Random, root: Tree) -> bytes:
    """JSON with a changed tree; at times also with changed bytes."""
    text = json.dumps(tree(rng, root), ensure_ascii=rng.random() < 0.9).encode("utf-8", "replace")
    return content(rng, text) if rng.random() < 0.15 else text


def toml_text(rng: Random, root: Tree) -> bytes:
    """The same for TOML."""
    text = _toml(tree(rng, root)).encode("utf-8", "replace")
    return content(rng, text) if rng.random() < 0.3 else text


def _toml(root: Tree) -> str:
    lines = [f"{json.dumps(str(key))} = {_inline(inner)}" for key, inner in root.items()] if _is(root) else ["x"]
    return "\n".join(lines) + "\n"


def _is(root: Tree) -> bool:
    return isinstance(root, dict)


def _inline(root: Tree) -> str:
    if isinstance(root, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_inline(inner)}" for key, inner in root.items()) + "}"
    if isinstance(root, list):
        return "[" + ", ".join(map(_inline, root)) + "]"
    return "1979-05-27" if root is None else json.dumps(root).replace("Infinity", "inf").replace("NaN", "nan")


def content(rng: Random, data: bytes) -> bytes:
    """Bytes with one to four changes."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_CHANGES)(rng, data)
    return data


def _flip(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) or 1)
    return data[:at] + bytes(b ^ 1 << rng.randrange(8) for b in data[at : at + 1]) + data[at + 1 :]


def _flip_early(rng: Random, data: bytes) -> bytes:
    return _flip(rng, data[:128]) + data[128:]


def _cut(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randint(1, 16) :]


def _repeat(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at : at + rng.randint(1, 64)] * rng.choice((1, 2, 100)) + data[at:]


def _integer(rng: Random, data: bytes) -> bytes:
    """Overwrite an integer of a binary header."""
    size, at = rng.choice((1, 2, 4, 8)), rng.randrange(min(len(data), 128) + 1)
    number = rng.choice(NUMBERS) % 2 ** (8 * size)
    return data[:at] + number.to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]  # type: ignore[arg-type]


def _digits(rng: Random, data: bytes) -> bytes:
    """Replace a number in text."""
    found = list(_NUMBER.finditer(data[:100_000]))
    if not found:
        return data
    number = str(rng.choice((*NUMBERS, *FLOATS, "9" * 5000))).encode()
    chosen = rng.choice(found)
    return data[: chosen.start()] + number + data[chosen.end() :]


def _insert(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    what = rng.choice((b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\t", b'"', b"[" * 3000, b"{", b"}", b",", b"NaN"))
    return data[:at] + what + data[at:]


def _encode(_: Random, data: bytes) -> bytes:
    return data.decode("latin-1").encode("utf-16")


_CHANGES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip, _flip, _flip_early, _flip_early, _cut, _drop, _repeat, _integer, _integer, _digits, _digits, _insert, _encode
)  # fmt: skip
