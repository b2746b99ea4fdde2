"""The order of the packages: imports point downward, without cycles."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vampcli

SOURCE = Path(vampcli.__file__).parent

# From the bottom to the top. A module imports from lower layers, or from its own if no cycle results.
LAYERS = [
    {"errors", "config", "files", "schema", "old_names", "reading", "tensor_reading", "progress"},
    {"model"},
    {"audio", "tokens"},
    {"codec", "sampling", "recipe"},
    {"memory", "page"},
    {"tasks", "checkpoints"},
    {"api", "scoring"},
    {"evaluate", "ui"},
    {"train"},
    {"cli"},
    {"__init__", "__main__"},  # lazy public names, and `python -m vampcli`
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
LAZY = {"train", "evaluate"}  # `cli` imports these inside functions only

# Third-party library -> the packages that may import it.
OUTSIDE = {
    "soundfile": {"audio"},
    "av": {"audio"},
    "librosa": {"audio"},
    "dac": {"codec", "train"},
    "safetensors": {"tensor_reading", "recipe"},
    "pickle": {"checkpoints"},
    "huggingface_hub": {"checkpoints"},
    "pooch": {"checkpoints"},
    "requests": {"checkpoints"},
    "starlette": {"ui"},
    "uvicorn": {"ui"},
    "click": set(),
}


@dataclass(frozen=True)
class Import:
    """One name that a module imports: of this package (`codec.rvq`) or of another (`torch.nn`)."""

    importer: str
    name: str
    ours: bool
    at_start: bool  # when the module is imported, not inside a function or for type checkers only


def modules() -> dict[str, Path]:
    """`codec.rvq`, `codec` (its __init__), `__init__` (ours) -> files."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


MODULES = modules()


def top(module: str) -> str:
    return module.partition(".")[0]


def names_imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Full names; `from a import b` is a.b where that is a module of ours, else a."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, "imports are absolute"
    for alias in node.names:
        inner = f"{node.module}.{alias.name}"
        yield inner if inner.removeprefix("vampcli.") in MODULES or node.module == "vampcli" else str(node.module)


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(importer: str, node: ast.AST, at_start: bool = True) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for name in names_imported(child):
                ours = top(name) == "vampcli"
                yield Import(importer, name.removeprefix("vampcli."), ours, at_start)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_for_type_checkers(child)
        yield from imports_of(importer, child, at_start and not inside)


IMPORTS = [i for name, path in MODULES.items() for i in imports_of(name, ast.parse(path.read_text(encoding="utf-8")))]
OURS = [i for i in IMPORTS if i.ours and i.name != "__version__"]


def allowed(i: Import) -> bool:
    importer, imported = top(i.importer), top(i.name)
    plots = i.importer.startswith("cli.plots.")  # themselves imported inside functions
    if imported in LAZY and importer == "cli" and i.at_start and not plots:
        return False
    return RANK[imported] <= RANK[importer]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_layer(module: str) -> None:
    assert top(module) in RANK


def test_imports_name_existing_modules() -> None:
    assert [i for i in OURS if i.name not in MODULES] == []  # not `from vampcli import load`: that is for users


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downward(module: str) -> None:
    assert [i.name for i in OURS if i.importer == module and not allowed(i)] == []


def test_no_cycles() -> None:
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for i in OURS:
        graph[i.importer].add(i.name)
    TopologicalSorter(graph).prepare()  # raises CycleError, which shows the cycle


@pytest.mark.parametrize("library", OUTSIDE)
def test_libraries_have_one_home(library: str) -> None:
    users = {top(i.importer) for i in IMPORTS if not i.ours and top(i.name) == library}
    assert users <= OUTSIDE[library]


@pytest.mark.parametrize("home", ["cli", "__main__", "__init__"])
def test_command_line_starts_without_torch(home: str) -> None:
    seen: set[str] = set()
    waiting = ["cli", "cli.main"] if home == "cli" else [home]
    while waiting:
        seen.add(module := waiting.pop())
        waiting += [i.name for i in OURS if i.at_start and i.importer == module and i.name not in seen]
    heavy = {(i.importer, i.name) for i in IMPORTS if i.importer in seen and i.at_start and not i.ours}
    assert {pair for pair in heavy if top(pair[1]) in ("torch", "torchaudio", "scipy", "soundfile", "av")} == set()


def test_no_command_module_imports_torch() -> None:
    assert [i for i in IMPORTS if top(i.importer) == "cli" and i.at_start and top(i.name) == "torch"] == []


def test_no_package_has_code_in_its_init() -> None:
    packages = [path for path in SOURCE.rglob("__init__.py") if path.parent != SOURCE]
    assert [str(p) for p in packages if len(ast.parse(p.read_text(encoding="utf-8")).body) > 1] == []


def test_checker_tells_right_from_wrong() -> None:
    source = "import torch.nn\nfrom vampcli import api\ndef f():\n  from vampcli.codec.rvq import Quantized\n"
    found = list(imports_of("tokens.grid", ast.parse(source)))
    assert [(i.name, i.ours, i.at_start) for i in found] == [
        ("torch.nn", False, True),
        ("api", True, True),
        ("codec.rvq", True, False),
    ]
    assert not any(allowed(i) for i in found if i.ours)
    assert not allowed(Import("cli.commands.train", "train.loop", True, at_start=True))
    assert allowed(Import("cli.commands.train", "train.loop", True, at_start=False))
    assert not allowed(Import("api", "train.loop", True, at_start=False))
    assert not allowed(Import("evaluate.token_accuracy", "train.data", True, at_start=False))


def test_only_convert_unpickles() -> None:
    calls = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "pickle.load", "pickle.loads")
    }
    assert calls == {"checkpoints.convert.read"}
