# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The command `dcgan benchmark`: the speed of training on this machine, and a check of its GPUs."""
