"""Tests of training in a notebook, executed as in Jupyter."""

import base64
import io

import nbformat
import PIL.Image
from nbclient import NotebookClient


CELL = """
import logging
logging.basicConfig(level=logging.WARNING)
import datasets, numpy as np, PIL.Image
from dcgan_hf import DCGANTrainer, DCGANTrainingArguments

images = [PIL.Image.fromarray(np.full((16, 16), 5 * i, np.uint8)) for i in range(40)]
features = datasets.Features({"image": datasets.Image()})
args = DCGANTrainingArguments(
    output_dir="run", resolution=16, latent_dim=8, hidden_size=8, train_batch_size=8, max_train_steps=4,
    save_images_steps=2, eval_batch_size=4, use_cpu=True, mixed_precision="no", num_cpu_threads=1,
)
trainer = DCGANTrainer(args, datasets.Dataset.from_dict({"image": images}, features=features))
trainer.train()
"""


def test_the_sample_grid_is_shown_in_place(tmp_path):
    # The second training runs in the same process.
    cells = [CELL, "args.output_dir = 'again'; trainer = DCGANTrainer(args, trainer.train_dataset); trainer.train()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for cell, folder in zip(notebook.cells, ("run", "again")):
        pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert len(pictures) == 1  # the last one has replaced the previous ones
        shown = PIL.Image.open(io.BytesIO(base64.b64decode(pictures[0]["data"]["image/png"])))
        saved = PIL.Image.open(tmp_path / folder / "samples" / "step-0000004.png")
        assert shown.size == saved.size and shown.tobytes() == saved.tobytes()
        assert "TrainerState(step=4" in cell.outputs[-1]["data"]["text/plain"]
