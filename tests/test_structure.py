"""The structure that CONTRIBUTING.md describes."""

import ast
import subprocess
import sys
from pathlib import Path

import dcgan_hf


PACKAGE = Path(dcgan_hf.__file__).parent
LAYERS = ["configuration", "modeling", "pipeline", "training"]


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
        own_layer = LAYERS.index("training") if path.parent.name == "training" else layer_of(path.stem)
        for level, name in imports_of(path):
            assert name.split(".")[0] != "dcgan_hf", f"{path.name}: relative imports only"
            is_flat = level == (2 if path.parent.name == "training" else 1)
            if is_flat and own_layer is not None:
                assert layer_of(name) <= own_layer, f"{path.name} imports {name}"


def test_files_that_are_copied_into_model_repositories_need_no_package():
    allowed = {
        "dataclasses",
        "diffusers",
        "huggingface_hub",
        "itertools",
        "math",
        "numbers",
        "numpy",
        "torch",
        "transformers",
    }
    allowed |= {"typing"}
    for name, siblings in (("configuration", set()), ("modeling", {"configuration_dcgan"}), ("pipeline", set())):
        for level, module in imports_of(PACKAGE / f"{name}_dcgan.py"):
            assert module in siblings if level else module.split(".")[0] in allowed, (name, module)


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
