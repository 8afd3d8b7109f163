#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Publishes a folder on the Hub that training, `scripts/convert_checkpoint.py` or `save_pretrained` wrote: the networks, the
code that loads them without dcgan_hf, example images and a model card; nothing else of what lies in the folder.

    hf auth login
    python scripts/push_to_hub.py dcgan-digits --hub_model_id my-name/dcgan-digits --license apache-2.0

Look at the model card (`README.md` in the folder) before anything is published:

    python scripts/push_to_hub.py dcgan-digits --card_only
"""

import argparse
import sys
from pathlib import Path

from dcgan_hf.publishing.card import page_kind
from dcgan_hf.publishing.upload import publish_pipeline, write_model_page


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Publishes a model on the Hub.", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="Folder of a saved pipeline.")
    parser.add_argument("--hub_model_id", help="Repository to publish to. By default the name of the folder.")
    parser.add_argument("--hub_private_repo", action="store_true", help="Make a new repository private.")
    parser.add_argument("--license", help="License of the model, for its card: apache-2.0, cc-by-4.0, ...")
    parser.add_argument("--base_model", help="Repository of the model that this one was made from, for the card.")
    parser.add_argument("--commit_message", help="Message of the commit.")
    parser.add_argument("--create_pr", action="store_true", help="Open a pull request instead of changing main.")
    parser.add_argument("--card_only", action="store_true", help="Write the card and its images, publish nothing.")
    args = parser.parse_args(argv)

    pipe = page_kind(args.folder).pipeline_class.from_pretrained(args.folder)
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(args.folder)  # adds the code of the networks to a folder of an earlier version
    repo_id = args.hub_model_id or args.folder.absolute().name
    if args.card_only:
        write_model_page(pipe, args.folder, repo_id, args.license, args.base_model)
        print(f"Card: {args.folder / 'README.md'}")
        return
    address = publish_pipeline(
        pipe,
        args.folder,
        repo_id,
        commit_message=args.commit_message,
        private=args.hub_private_repo or None,
        create_pr=args.create_pr,
        license=args.license,
        base_model=args.base_model,
    )
    print(f"Published: {address}")


if __name__ == "__main__":
    main(sys.argv[1:])
