"""Share of the inputs that one of several runs of the same command makes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vampcli.errors import UsageError

_MOST = 1_000_000


@dataclass(frozen=True)
class Shard:
    """Share number `index` of `count` shares, counted from 1."""

    index: int
    count: int

    def of(self, sources: Sequence[Path]) -> set[Path]:
        """Return every `count`-th of the sources, sorted by their absolute paths."""
        return set(sorted(sources, key=os.path.abspath)[self.index - 1 :: self.count])


def parse_shard(text: str) -> Shard:
    """Parse a share such as `3/16`.

    Raises:
        UsageError: the text is malformed, or there is no such share.
    """
    numbers = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text.strip())
    if not numbers:
        raise UsageError(f"--shard is {text!r}", "give the number of this run and their sum, such as 3/16")
    shard = Shard(int(numbers[1]), int(numbers[2]))
    if not 1 <= shard.index <= shard.count <= _MOST:
        raise UsageError(
            f"there is no shard {shard.index} of {shard.count}", f"shards are counted from 1: 1/{max(shard.count, 1)}"
        )
    return shard
