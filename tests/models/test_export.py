"""Tests that ONNX Runtime computes the same as PyTorch from exported graphs."""

import logging

import numpy as np
import onnxruntime
import pytest
import torch
from transformers.exporters import ExportedModel

from dcgan_hf import DCGANPipeline, DCGANSuperResolutionPipeline
from dcgan_hf.export import export_onnx
from dcgan_hf.model_folder import remove_stale_files
from dcgan_hf.publishing.upload import publish_pipeline

from ..pipelines.test_attributes import make_attribute_pipeline
from ..pipelines.test_pipeline_dcgan import make_pipeline
from ..publishing.test_model_card import assert_without_gaps, code_of
from ..train_utils import ROOT, run_command
from .test_super_resolution import make_generator


@pytest.mark.parametrize("has_attributes", [False, True])
def test_the_graph_draws_what_the_generator_draws(has_attributes, caplog, capfd):
    generator = (make_attribute_pipeline() if has_attributes else make_pipeline()).generator.train()
    exported = export_onnx(generator)
    assert generator.training
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr() == ("", "")
    generator.eval()
    for batch_size in (1, 2, 70):
        inputs = {"latents": torch.randn(batch_size, 8)}
        if has_attributes:  # a single class is in the model that is published below
            inputs["class_labels"] = torch.stack([torch.arange(batch_size) % size - 1 for size in (4, 3, 2)], 1)
        torch.testing.assert_close(
            exported(**inputs).pixel_values, generator(**inputs).pixel_values, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize(
    "config",
    [
        {"scale_factor": 3},
        {"scale_factor": 4, "upsampling": "pixel_shuffle"},
        {"scale_factor": 2, "upsampling": "pixel_shuffle_direct", "block_type": "pixel_attention"},
    ],
)
def test_the_graph_enlarges_images_of_any_size(config):
    generator = make_generator(**config)
    exported = export_onnx(generator)
    for shape in ((1, 3, 8, 10), (3, 3, 5, 21), (1, 3, 1, 1)):
        small = torch.rand(shape) * 2 - 1
        torch.testing.assert_close(
            exported(pixel_values=small).pixel_values, generator(small).pixel_values, atol=1e-5, rtol=0
        )


def test_half_precision_has_half_the_size(tmp_path, capsys):
    make_pipeline().save_pretrained(tmp_path / "dcgan")
    sizes = {}
    for dtype in ("float32", "float16"):
        run_command("export", tmp_path / "dcgan", "--dtype", dtype, "--output_dir", tmp_path / dtype)
        sizes[dtype] = (tmp_path / dtype / "model.onnx.data").stat().st_size
        assert f"{tmp_path / dtype / 'model.onnx'} (" in capsys.readouterr().out
        graph = (tmp_path / dtype / "model.onnx").read_bytes()
        assert b".py" not in graph and str(ROOT).encode() not in graph  # because the graph is published
    assert sizes["float16"] < 0.6 * sizes["float32"]
    latents = torch.randn(5, 8)
    pixel_values = [
        ExportedModel.from_pretrained(tmp_path / dtype)(latents=latents.to(getattr(torch, dtype))).pixel_values
        for dtype in sizes
    ]
    torch.testing.assert_close(pixel_values[1].float(), pixel_values[0], atol=0.02, rtol=0)
    assert not (tmp_path / "dcgan" / "onnx").exists()


def test_the_command_writes_beside_the_model_and_publishing_takes_it_along(hub, token, tmp_path):
    make_pipeline(num_classes=3).save_pretrained(tmp_path / "dcgan")
    run_command("export", tmp_path / "dcgan")
    assert "onnx/model.onnx" in (tmp_path / "dcgan" / "README.md").read_text()
    publish_pipeline(DCGANPipeline.from_pretrained(tmp_path / "dcgan"), tmp_path / "dcgan", "org/dcgan")
    published = {name for name in hub.files("org/dcgan") if name.startswith("onnx/")}
    assert published == {f"onnx/{name}" for name in ("model.onnx", "model.onnx.data", "export.json", "config.json")}
    card = hub.files("org/dcgan")["README.md"].decode()
    assert_without_gaps(card)
    names = {}
    exec(next(code for code in code_of(card) if "onnxruntime" in code), names)
    assert names["pixel_values"].shape == (4, 3, 16, 16)
    labels = torch.tensor([2, 1])
    latents = torch.randn(2, 8)
    loaded = ExportedModel.from_pretrained("org/dcgan", subfolder="onnx")
    torch.testing.assert_close(
        loaded(latents=latents, class_labels=labels).pixel_values,
        DCGANPipeline.from_pretrained("org/dcgan").generator(latents, labels).pixel_values,
        atol=1e-5,
        rtol=0,
    )
    # A model of the Hub is exported to another folder, which has no default.
    run_command("export", "org/dcgan", "--output_dir", tmp_path / "elsewhere")
    assert onnxruntime.InferenceSession(tmp_path / "elsewhere" / "model.onnx").get_inputs()[0].name == "latents"
    with pytest.raises(ValueError, match="`output_dir` is required: org/dcgan"):
        run_command("export", "org/dcgan")


def test_super_resolution_is_exported_alike(hub, token, tmp_path):
    DCGANSuperResolutionPipeline(make_generator(scale_factor=2)).save_pretrained(tmp_path / "x2")
    run_command("export", tmp_path / "x2")
    pipe = DCGANSuperResolutionPipeline.from_pretrained(tmp_path / "x2")
    publish_pipeline(pipe, tmp_path / "x2", "org/x2")
    assert "onnx/model.onnx" in hub.files("org/x2")
    names = {}
    exec(next(code for code in code_of(hub.files("org/x2")["README.md"].decode()) if "onnxruntime" in code), names)
    expected = pipe.generator(torch.from_numpy(names["small"])).pixel_values.detach().numpy()
    np.testing.assert_allclose(names["large"], expected, atol=1e-5)


def test_a_graph_of_earlier_networks_goes(tmp_path):
    make_pipeline().save_pretrained(tmp_path)
    run_command("export", tmp_path)
    remove_stale_files(tmp_path)
    assert not (tmp_path / "onnx").exists() and (tmp_path / "generator").is_dir()


def test_exporting_leaves_the_log_as_loud_as_it_was():
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "transformers")}
    export_onnx(make_pipeline().generator)
    assert levels == {name: logging.getLogger(name).level for name in levels}
