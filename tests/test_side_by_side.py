"""Comparison of one experiment under several models."""

import json
from pathlib import Path

from experiments.side_by_side import compare

from vampcli.evaluate.spec import read_experiment


def test_models_are_compared_by_condition(tmp_path: Path) -> None:
    toml = tmp_path / "e.toml"
    toml.write_text('[[conditions]]\nname = "a"\nsweep."sampling.steps" = [1, 2]\n')
    experiment = read_experiment(toml)
    for model, shift in (("first", 0.0), ("second", 0.5)):
        (tmp_path / model).mkdir()
        with (tmp_path / model / "records.jsonl").open("w") as file:
            for condition in experiment.conditions:
                for i in range(6):
                    takes = [{"mel_error": i + shift + condition.config.steps}]
                    record = {"condition": condition.key, "excerpt": i, "piece": str(i), "takes": takes}
                    file.write(json.dumps(record) + "\n")
    rows = compare(experiment, [tmp_path / "first", tmp_path / "second"])
    assert [row.label for row in rows] == [f"a: steps {n}, {model}" for n in (1, 2) for model in ("first", "second")]
    assert [row.figures["mel_error"].value for row in rows] == [3.5, 4.0, 4.5, 5.0]
    assert [row.above.get("mel_error") for row in rows] == [None, (0.5, 0), None, (0.5, 0)]
