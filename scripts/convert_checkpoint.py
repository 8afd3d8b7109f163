#!/usr/bin/env python
# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Makes a pipeline of checkpoints that other DCGAN code wrote, in one file or in several:

    python scripts/convert_checkpoint.py netG_epoch_24.pth netD_epoch_24.pth my-dcgan

Without a discriminator the pipeline has only the generator, which is all that sampling needs.
"""

import argparse
import sys
from pathlib import Path

from dcgan_hf import DCGANDiscriminator, DCGANGenerator, DCGANPipeline
from dcgan_hf.conversion import networks_from_original


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Makes a pipeline of other code's checkpoints.", allow_abbrev=False)
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="IN", help="Files with weights of a DCGAN.")
    parser.add_argument("folder", type=Path, metavar="OUT", help="Folder to write the pipeline to.")
    args = parser.parse_args(argv)

    networks = [
        (f"{path}{': ' + name if name else ''}", network)
        for path in args.checkpoints
        for name, network in networks_from_original(path).items()
    ]
    chosen = []
    for network_class in (DCGANGenerator, DCGANDiscriminator):
        found = [(name, network) for name, network in networks if isinstance(network, network_class)]
        if len(found) > 1:
            raise ValueError(
                f"Give the checkpoint of one {network_class.__name__}, got {' and '.join(name for name, _ in found)}."
            )
        chosen.append(found[0][1] if found else None)
    generator, discriminator = chosen
    if generator is None:
        raise ValueError(f"No generator in {', '.join(map(str, args.checkpoints))}, only a discriminator.")
    DCGANPipeline(generator, discriminator).save_pretrained(args.folder)

    for name, network in networks:
        config = network.config
        print(
            f"{name}: {type(network).__name__}, {config.image_size}x{config.image_size} pixels,"
            f" {network.num_parameters():,} parameters"
        )
    print(f'Pipeline: {args.folder}  ->  DCGANPipeline.from_pretrained("{args.folder}")')


if __name__ == "__main__":
    main(sys.argv[1:])
