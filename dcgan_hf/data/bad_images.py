# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Names of images that cannot be used, and messages about them."""

from collections.abc import Sequence
from typing import Any

import PIL


_NAMED = 5  # in one message
ADVICE = "Remove it, or skip it with `--skip_bad_images`."


class BadImageError(ValueError):
    """Raised for an image that cannot be used. The message names it."""


def image_name(encoded: dict[str, Any] | None, number: int) -> str:
    """Returns the number of an image in its dataset and, if it comes from a file, the path."""
    path = (encoded or {}).get("path")
    return f"number {number}" + (f" ({path})" if path else "")


def first_reasons(names: Sequence[str]) -> str:
    """Returns the first of some names with reasons, and the number of the others."""
    others = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return "; ".join(names[:_NAMED]) + others


def reason_of(error: Exception) -> str:
    """Returns why an image cannot be read, without a full stop."""
    if isinstance(error, PIL.UnidentifiedImageError):  # its message would show a memory address
        return "it is not an image of a known format"
    return str(error).rstrip(".")
