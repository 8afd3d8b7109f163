#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Writes the generator of a model as an ONNX graph, for ONNX Runtime in any language, or in a browser:

    python scripts/export_onnx.py dcgan-digits
    python scripts/export_onnx.py org/dcgan-celeba --dtype float16 --output_dir celeba-onnx

Into the folder of a local model it goes as `onnx/`, which scripts/push_to_hub.py publishes with it.
"""

import argparse
import sys
from pathlib import Path

import torch
from huggingface_hub import snapshot_download

from dcgan_hf.export import export_onnx
from dcgan_hf.model_folder import ONNX_FOLDER
from dcgan_hf.publishing.card import page_kind
from dcgan_hf.publishing.upload import update_card


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Writes a generator as an ONNX graph.", allow_abbrev=False)
    parser.add_argument("model", help="Folder of a saved pipeline, or its repository on the Hub.")
    parser.add_argument("--revision", help="Branch, tag or commit of the repository.")
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32", help="float16: half as large.")
    parser.add_argument(
        "--output_dir", type=Path, help=f"Folder for the graph. By default `{ONNX_FOLDER}` in the folder of the model."
    )
    args = parser.parse_args(argv)
    is_local = Path(args.model).is_dir()
    if not is_local and args.output_dir is None:
        raise ValueError(f"`output_dir` must be given for a model of the Hub, such as {args.model}.")

    folder = Path(args.model) if is_local else Path(snapshot_download(args.model, revision=args.revision))
    pipe = page_kind(folder).pipeline_class.from_pretrained(folder, dtype=getattr(torch, args.dtype))
    output_dir = args.output_dir or folder / ONNX_FOLDER
    export_onnx(pipe.generator).save_pretrained(output_dir)
    if output_dir == folder / ONNX_FOLDER:
        update_card(folder)
    size = sum(path.stat().st_size for path in output_dir.glob("model.onnx*")) / 1e6
    print(f"ONNX: {output_dir / 'model.onnx'} ({size:.1f} MB, {args.dtype})")


if __name__ == "__main__":
    main(sys.argv[1:])
