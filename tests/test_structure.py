"""The structure that CONTRIBUTING.md describes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dcgan_hf
from dcgan_hf.configuration_portable import code_of_networks
from dcgan_hf.model_folder import PUBLISHED_FILES


PACKAGE = Path(dcgan_hf.__file__).parent
LAYERS = [
    "version",
    "image_processing",
    "configuration",
    "modeling",
    "conversion",
    "export",
    "pipeline",
    "templates",
    "hardware",
    "model_folder",
    "pictures",
    "data",
    "evaluation",
    "training",
    "interpretability",
    "publishing",
]
FOLDERS = ["data", "evaluation", "training", "interpretability", "publishing"]


def imports_of(path):
    """Modules that a file imports: (number of dots, name)."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
        elif isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
    return found


def layer_of(name):
    return next((i for i, layer in enumerate(LAYERS) if name.startswith(layer)), None)


def test_imports_run_one_way():
    for path in PACKAGE.rglob("*.py"):
        in_folder = path.parent.name in FOLDERS
        own_layer = LAYERS.index(path.parent.name) if in_folder else layer_of(path.stem)
        for level, name in imports_of(path):
            assert name.split(".")[0] != "dcgan_hf", f"{path.name}: relative imports only"
            if level == (2 if in_folder else 1) and own_layer is not None:
                assert layer_of(name) <= own_layer, f"{path.name} imports {name}"


def test_files_that_are_copied_into_model_repositories_need_no_package():
    allowed = sys.stdlib_module_names | {"PIL", "huggingface_hub", "numpy", "torch", "transformers"}
    kinds = ("image_processing_", "configuration_", "modeling_")
    networks = [path.stem for path in PACKAGE.glob("*.py") if path.stem.startswith(kinds)]
    for name in networks:
        for level, module in imports_of(PACKAGE / f"{name}.py"):
            assert module in networks if level else module.split(".")[0] in allowed, (name, module)
    for path in PACKAGE.glob("pipeline_*.py"):
        # diffusers follows the imports of the pipeline's own file only.
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
    """diffusers looks for it there when it loads a component."""
    from dcgan_hf import modeling_dcgan

    assert modeling_dcgan.PreTrainedModel.__name__ == "PreTrainedModel"


def test_no_file_is_long():
    for path in [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "scripts").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 400, path


def test_sampling_needs_no_training_extras():
    code = "import sys, dcgan_hf; assert not {'datasets', 'sklearn', 'tensorboard'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
