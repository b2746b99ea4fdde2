"""The examples: pairs of sounds with their recipes, the workflow of a smoke test, the hooks of pre-commit."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scripts import examples

from vampcli.audio.read import inspect
from vampcli.recipe.embed import recipe_of

ROOT = Path(__file__).parents[1]
PAIRS = ROOT / "examples/pairs"


def test_pairs_are_those_of_the_script_and_small() -> None:
    files = sorted(PAIRS.iterdir())
    made = {f"{name}.ogg" for name in examples.COMMANDS}
    assert {path.name for path in files} == made | {"original.ogg", "outpaint.before.ogg"}
    assert sum(path.stat().st_size for path in files) < 2_000_000
    linked = re.findall(r"\(pairs/([\w.]+)\)", (ROOT / "examples/README.md").read_text())
    assert set(linked) == {path.name for path in files}


@pytest.mark.parametrize("name", examples.COMMANDS)
def test_pairs_hold_their_recipes(name: str) -> None:
    recipe = recipe_of(PAIRS / f"{name}.ogg")
    assert recipe is not None
    assert recipe.command == examples.COMMANDS[name][0]
    assert recipe.n_samples == inspect(PAIRS / f"{name}.ogg").n_samples
    assert recipe.source.name.startswith("examples/")


def test_workflow_of_the_smoke_test(tmp_path: Path) -> None:
    """Its keys are those of GitHub Actions, and its commands run."""
    workflow = yaml.safe_load((ROOT / "examples/smoke-test.yml").read_text())
    assert set(workflow) == {"name", True, "permissions", "jobs"}  # YAML 1.1 reads `on` as True
    assert set(workflow[True]) == {"push", "pull_request"}
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} == set(job)
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert set(step) <= {"name", "uses", "with", "run", "if"}
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("pairs", "*.flac"))
    lines = [step["run"].strip() for step in job["steps"] if step.get("run", "").startswith("vamp ")]
    assert len(lines) == 4
    shell = f'set -eo pipefail; vamp() {{ {shlex.quote(sys.executable)} -m vampcli "$@"; }}\n'
    ran = subprocess.run(["bash", "-c", shell + "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "smoke/again.wav").is_file()


def test_hooks_are_those_of_make_lint() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    entries = {hook["entry"].removesuffix(" --fix") for repo in config["repos"] for hook in repo["hooks"]}
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    wanted = {re.sub(r" (--check|\.)(?= |$)", "", line) for line in re.findall(r"\$\(BIN\)/(.+)", lint)}
    assert entries == {line.strip().removesuffix(" .") for line in wanted}
