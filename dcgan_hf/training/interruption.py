# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Ending a run in an orderly way when it is told to stop."""

import signal
from types import FrameType


class StopSignals:
    """
    Context manager that notes SIGINT (Ctrl-C) and SIGTERM in `received` instead of ending the process. A second
    signal ends it at once.
    """

    def __init__(self) -> None:
        self.received = False
        self._previous: dict = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        signal.signal(number, self._previous[number])
