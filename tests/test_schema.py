"""Tables become dataclasses, or the message names the key that does not fit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from vampcli.errors import UsageError
from vampcli.schema import from_table


@dataclass(frozen=True)
class Leaf:
    n: int = 3

    def __post_init__(self) -> None:
        if self.n < 0:
            raise UsageError(f"n is {self.n}", "it must be 0 or more")


@dataclass(frozen=True)
class Tree:
    size: float
    flag: bool = False
    mode: Literal["a", 1] = "a"
    maybe: int | None = None
    pairs: Sequence[tuple[float, float] | Leaf] = ()
    names: tuple[str, ...] = ()
    leaf: Leaf = field(default_factory=Leaf)
    either: Leaf | None = None
    free: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("table", "tree"),
    [
        ({"size": 1}, Tree(1)),
        ({"size": 0.5, "flag": True, "mode": 1, "maybe": 4}, Tree(0.5, True, 1, 4)),
        ({"size": 1, "maybe": None, "names": ["x", "y"]}, Tree(1, names=("x", "y"))),
        ({"size": 1, "pairs": [[1, 2.5], {"n": 7}]}, Tree(1, pairs=((1, 2.5), Leaf(7)))),
        ({"size": 1, "leaf": {}, "either": {"n": 1}}, Tree(1, either=Leaf(1))),
        ({"size": 1, "free": {"any": [None]}}, Tree(1, free={"any": [None]})),
    ],
)
def test_tables_become_dataclasses(table: dict[str, Any], tree: Tree) -> None:
    assert from_table(Tree, table, "here") == tree


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sise": 1}, "here: unknown key 'sise'"),
        ({"size": "1"}, "here: size is '1'"),
        ({"size": True}, "here: size is True"),
        ({"flag": 1}, "here: flag is 1"),
        ({"mode": "b"}, "here: mode is 'b'"),
        ({"mode": True}, "here: mode is True"),
        ({"maybe": 1.0}, "here: maybe is 1.0"),
        ({"pairs": [[1]]}, r"here: pairs\[0\] is \[1\]"),
        ({"pairs": [[1, 2], [1, "2"]]}, r"here: pairs\[1\]\[1\] is '2'"),
        ({"pairs": {"n": 1}}, "here: pairs is"),
        ({"leaf": {"n": "x"}}, r"here \[leaf\]: n is 'x'"),
        ({"leaf": {"n": -1}}, r"here \[leaf\]: n is -1"),
        ({"leaf": None}, "here: leaf is None"),
        ({"either": {"kind": 1}}, r"here \[either\]: unknown key 'kind'"),
        ({"free": []}, r"here: free is \[\]"),
    ],
)
def test_bad_values_are_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=f"^{says}") as caught:
        from_table(Tree, {"size": 1, **change}, "here")
    assert caught.value.hint


def test_missing_key_is_named() -> None:
    with pytest.raises(UsageError, match="here: 'size' is missing"):
        from_table(Tree, {"flag": True}, "here")
