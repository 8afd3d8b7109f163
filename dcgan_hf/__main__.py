# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""`python -m dcgan_hf` is `dcgan`."""

import sys

from .cli.main import main


if __name__ == "__main__":
    sys.exit(main())
