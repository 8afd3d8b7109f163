# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Frame of a demo's page, around what is special to a kind of model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from ...templates.escaping import escape_markdown


_MAX_WAITING = 32  # calls of all visitors together; further ones are refused


@contextmanager
def page(title: str, introduction: str) -> Iterator[gr.Blocks]:
    r"""
    Context manager in which the tabs of a page are added.

    Args:
        title (`str`):
            Title of the page.
        introduction (`str`):
            Markdown below the title.

    Yields:
        `gr.Blocks`: the page.
    """
    # Files of visitors are deleted after a day.
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        gr.Markdown(f"# {escape_markdown(title)}\n{introduction}")
        yield demo
    # No call passes by the queue.
    demo.queue(max_size=_MAX_WAITING, default_concurrency_limit=1, api_open=False)


def on(triggers: list, earlier: Any, function: Callable, inputs: list, outputs: Any, name: str) -> None:
    """Registers a function, also to follow an event. Calls run one at a time: some change the networks temporarily."""
    one_at_a_time: Any = {"concurrency_id": "networks", "concurrency_limit": 1}
    gr.on(triggers, function, inputs, outputs, api_name=name, **one_at_a_time)
    earlier.success(function, inputs, outputs, api_visibility="private", **one_at_a_time)
