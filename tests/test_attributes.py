"""Agreement of spans with their piece: shares with known answers."""

import numpy as np
import pytest
from experiments.attributes import agreements, spaces, table


def records(noise: float, seed: int = 0) -> list[dict[str, object]]:
    """Six pieces of two excerpts, each piece with tags and pitch classes of its own."""
    rng = np.random.default_rng(seed)
    found = []
    for piece in range(6):
        tags, chroma, tempo = rng.uniform(0.05, 0.95, 50), rng.uniform(0, 1, 12), 60 * 2 ** (piece / 6)
        for excerpt in (2 * piece, 2 * piece + 1):
            for way in ("after", "original", "copy", "model", "untrained"):
                own = rng.uniform(0.05, 0.95, 50) if way == "untrained" else tags + noise * rng.normal(size=50)
                key = rng.uniform(0, 1, 12) if way == "untrained" else chroma + noise * rng.normal(size=12)
                pulse = rng.uniform(60, 120) if way == "untrained" else tempo * (1 + noise) * rng.choice([0.5, 1, 2])
                record = {"tags": own.clip(0, 1).tolist(), "chroma": key.tolist(), "tempo": pulse}
                found.append({"excerpt": excerpt, "piece": str(piece), "way": way, **record})
    return found


NAMES = ["guitar", "piano", "drums", "violin", *(str(i) for i in range(46))]


def test_agreement_with_the_piece() -> None:
    some = records(0.004)
    for attribute, space in spaces(some, NAMES).items():
        found = agreements(some, space)
        mean = {way: float(np.mean([x for shares in pieces.values() for x in shares])) for way, pieces in found.items()}
        assert mean["original"] == mean["model"] == mean["copy"] == 1, attribute
        assert 0.2 < mean["untrained"] < 0.8, attribute
        assert mean["another piece"] < 0.8, attribute


@pytest.mark.parametrize(
    ("attribute", "key", "value"), [("pitch classes", "chroma", [1.0] + 11 * [0.0]), ("tempo", "tempo", None)]
)
def test_ties_are_chance(attribute: str, key: str, value: object) -> None:
    some = records(0.004)
    for record in some:
        record[key] = value if record["way"] == "model" or key == "chroma" else record[key]
    assert agreements(some, spaces(some, NAMES)[attribute])["model"]["3"] == pytest.approx([0.5, 0.5])


def test_table_has_row_for_each_way() -> None:
    lines = table(records(0.004), NAMES).splitlines()
    assert len(lines) == 2 + 5
    assert "| model | 1.00 (1.00 to 1.00) |" in lines[4]
