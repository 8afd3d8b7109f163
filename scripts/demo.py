#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
A page to play with a model, on this machine or as a Space on the Hub.

    python scripts/demo.py dcgan-digits

Write the folder of a Space, look at it, and publish it (`hf auth login` before):

    python scripts/demo.py my-name/dcgan-digits --output_dir my-space
    python my-space/app.py
    python scripts/demo.py my-name/dcgan-digits --output_dir my-space --push_to_hub

GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where it listens.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from dcgan_hf.interpretability.demo.app import LAUNCH_OPTIONS, load_demo
from dcgan_hf.publishing.space import publish_space, save_space


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="A page to play with a model.", allow_abbrev=False)
    parser.add_argument("model", help="Folder of a pipeline, or its repository on the Hub.")
    parser.add_argument("--title", help="Title of the page. By default the name of the model.")
    parser.add_argument("--output_dir", type=Path, help="Write the folder of a Space instead of starting the page.")
    parser.add_argument("--push_to_hub", action="store_true", help="Publish the Space.")
    parser.add_argument("--hub_model_id", help="Space to publish. By default one of yours, named as the model.")
    parser.add_argument("--hub_private_repo", action="store_true", help="Make a new Space private.")
    args = parser.parse_args(argv)

    name = Path(args.model).absolute().name
    title = args.title or name
    if not (args.output_dir or args.push_to_hub):
        load_demo(args.model, title).launch(**LAUNCH_OPTIONS)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.output_dir or Path(temporary)
        save_space(args.model, folder, title)
        if args.output_dir:
            print(f"Space: {folder}")
        if args.push_to_hub:
            address = publish_space(folder, args.hub_model_id or name, args.hub_private_repo or None)
            print(f"Published: {address}")


if __name__ == "__main__":
    main(sys.argv[1:])
