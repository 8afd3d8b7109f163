# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Entry point of `python -m dcgan_hf`, which is the `dcgan` command."""

import sys

from .cli.main import main


if __name__ == "__main__":
    sys.exit(main())
