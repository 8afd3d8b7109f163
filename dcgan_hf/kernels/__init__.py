# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Ways to compute convolutions on CPUs, and the choice of the fastest by measuring."""
