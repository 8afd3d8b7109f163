"""Tests of the structure that CONTRIBUTING.md describes."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dcgan_hf
from dcgan_hf.configuration_portable import code_of_networks
from dcgan_hf.model_folder import PUBLISHED_FILES


PACKAGE = Path(dcgan_hf.__file__).parent
# Each layer may import those before it. A folder is one layer, and so is the package itself, which imports lazily.
LAYERS = [
    "version",
    "imports",
    "files",
    "flags",
    "image_processing",
    "configuration",
    "modeling",
    "conversion",
    "export",
    "hardware",
    "processes",
    "kernels",
    "model_folder",
    "folder_lock",
    "pictures",
    "templates",
    "data",
    "pipeline",
    "registration",
    "inference",
    "evaluation",
    "publishing",
    "training",
    "benchmarks",
    "interpretability",
    "cli",
    "__main__",
    "__init__",
]
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((PACKAGE.parent / "scripts").rglob("*.py"))


def layer_of(module):
    """Returns the layer number of a module, given by its name within the package: "data.loaders", "pipeline_dcgan"."""
    first = module.split(".")[0]
    return next(i for i, layer in enumerate(LAYERS) if first.startswith(layer))


def module_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports_of(path):
    """Returns the modules that a file imports: (number of dots, name)."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            # `from . import a, b` imports sibling modules.
            found += [(node.level, node.module)] if node.module else [(node.level, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
    return found


def absolute(path, level, name):
    """Returns the name of an imported module within the package."""
    folders = path.relative_to(PACKAGE).parts[:-1]
    return ".".join((*folders[: len(folders) - level + 1], name))


def own_imports(path):
    return [absolute(path, level, name) for level, name in imports_of(path) if level]


def test_imports_run_one_way():
    for path in FILES:
        for name in own_imports(path):
            assert layer_of(name) <= layer_of(module_of(path)), f"{module_of(path)} imports {name}"
        for level, name in imports_of(path):
            assert level or name.split(".")[0] != "dcgan_hf", f"{module_of(path)}: relative imports only"


def test_imports_have_no_circle():
    """Within layers, either."""
    modules = {module_of(path): path for path in FILES}
    graph = {
        name: {imported for imported in own_imports(path) if imported in modules and name != "__init__"}
        for name, path in modules.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)  # raises a CycleError


def test_modules_load_nothing_of_a_later_layer():
    """Run-time check: imports one layer after another in a separate process."""
    code = """
import importlib, json, sys
modules = json.loads(sys.argv[1])
sys.argv[0] = "dcgan"  # the package itself imports next to nothing then
import dcgan_hf
by_itself = {*sys.modules}
for module in modules:
    importlib.import_module(f"dcgan_hf.{module}")
    print(module, *(name for name in sys.modules if name.startswith("dcgan_hf.") and name not in by_itself))
"""
    modules = [module_of(path) for path in FILES if path.stem not in ("__init__", "__main__")]
    modules.sort(key=layer_of)
    result = subprocess.run([sys.executable, "-c", code, json.dumps(modules)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [module for module, *_ in lines] == modules
    for module, *loaded in lines:
        for name in loaded:
            assert layer_of(name.removeprefix("dcgan_hf.")) <= layer_of(module), f"{module} loads {name}"


def test_the_one_arrow_by_name():
    """Pipelines publish themselves. Otherwise only the package imports modules by name, lazily."""
    by_name = [path.name for path in FILES if "import_module(" in path.read_text()]
    assert sorted(by_name) == ["__init__.py", "pipeline_portable.py"]


def names_defined_in(tree):
    """Returns the private names that a module defines: at top level, in classes, or on `self`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def test_nothing_reads_private_names_of_another_module():
    trees = {path: ast.parse(path.read_text()) for path in [*FILES, *SCRIPTS]}
    private = {path: names_defined_in(tree) for path, tree in trees.items()}
    everywhere = set().union(*private.values())
    for path, tree in trees.items():
        own = private[path]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                imported = [alias.name for alias in node.names if alias.name.startswith("_")]
                assert not [name for name in imported if not name.startswith("__")], (path, imported)
            elif isinstance(node, ast.Attribute) and node.attr in everywhere - own:
                is_own_object = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                assert is_own_object, f"{path.name}:{node.lineno} reads {node.attr}"


def test_functions_are_short_and_take_few_parameters():
    for path in [*FILES, *SCRIPTS]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef):
                continue
            where = f"{path.name}: {node.name}"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            number = len([argument for argument in arguments if argument.arg not in ("self", "cls")])
            assert number <= 8, f"{where} has {number} parameters"
            # Without the docstring, which may be long.
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 80, f"{where} has {length} lines"


def test_files_that_are_copied_into_model_repositories_need_no_package():
    allowed = sys.stdlib_module_names | {"PIL", "huggingface_hub", "numpy", "safetensors", "torch", "transformers"}
    kinds = ("files", "image_processing_", "configuration_", "modeling_")
    networks = [path.stem for path in PACKAGE.glob("*.py") if path.stem.startswith(kinds)]
    for name in networks:
        for level, module in imports_of(PACKAGE / f"{name}.py"):
            assert module in networks if level else module.split(".")[0] in allowed, (name, module)
    for path in PACKAGE.glob("pipeline_*.py"):
        # diffusers only follows the imports of the pipeline's own file.
        copied = [name for name in PUBLISHED_FILES if path.stem != "pipeline_portable"]
        for level, module in imports_of(path):
            found = f"{module}.py" in copied if level else module.split(".")[0] in allowed | {"diffusers"}
            assert found, (path.name, module)


@pytest.mark.parametrize(
    "module, name",
    [
        ("modeling_dcgan", "DCGANForImageClassification"),
        ("modeling_dcgan_super_resolution", "DCGANSuperResolutionGenerator"),
    ],
)
def test_networks_are_one_file_in_model_repositories(module, name):
    tree = ast.parse(code_of_networks(module))
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert len(names) == len(set(names)) and name in names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


def test_component_modules_expose_their_base_class():
    """diffusers looks for the base class there when it loads a component."""
    from dcgan_hf import modeling_dcgan

    assert modeling_dcgan.PreTrainedModel.__name__ == "PreTrainedModel"


def test_no_file_is_long():
    for path in [*FILES, *SCRIPTS]:
        assert len(path.read_text().splitlines()) <= 400, path
