"""The notebooks of the tutorials run from a clean kernel, at a small size."""

import nbformat
import pytest
from nbclient import NotebookClient

from ..train_utils import save_classifier
from .pages import DOCS, shrink


NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.ipynb"))
# What takes long whatever the size of the networks: drawing all faces.
FEWER_FACES = """
from dcgan_hf.data import procedural_faces
procedural_faces.NUM_IMAGES.update(train=100, test=40)
"""


def code_cells(path):
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.id != "install"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, hub):
    save_classifier(tmp_path / "a-classifier")
    cells = [FEWER_FACES]
    for cell in code_cells(path):
        code = shrink(cell.source).replace("range(2000)", "range(100)")
        cells.append(code.replace("'efficientnet-lite0'", "'a-classifier'"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_with_its_pictures(path):
    """Readers see what comes out: every cell that ends with a picture has one, and none has an error or a log."""
    for cell in code_cells(path):
        kinds = [output.output_type for output in cell.outputs]
        assert "error" not in kinds
        assert all(output.name == "stdout" for output in cell.outputs if output.output_type == "stream")
        if "make_image_grid(" in cell.source.splitlines()[-1]:
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source


def test_all_tutorials_are_there():
    assert [path.stem for path in NOTEBOOKS] == [
        "classes",
        "first-dcgan",
        "looking-inside",
        "super-resolution",
        "your-photos",
    ]
