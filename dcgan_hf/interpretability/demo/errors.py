# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Errors of the demo."""

import gradio as gr


def refuse(message: str) -> gr.Error:
    """Returns an error to raise on invalid input, shown on the page but not in the log."""
    return gr.Error(message, print_exception=False)
