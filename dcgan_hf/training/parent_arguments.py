# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Arguments for fine-tuning a trained model, the parent, which decides what is not given."""

import copy
import json
from dataclasses import dataclass
from typing import Any, Self

from ..flags import flag
from .network_configs import NETWORK_ARGUMENTS, parse_object


@dataclass(kw_only=True)
class ParentArguments:
    """Arguments that select the parent of a model."""

    # Not in `vars(args)`, which holds the arguments alone, and without an annotation, which would make it one of them.
    __slots__ = ("_given",)

    pretrained_model_name_or_path: str | None = flag(
        None,
        "Folder or Hub repository of a model to fine-tune. It decides size, channels, classes and networks, unless a"
        " flag says otherwise (default: new networks).",
        group="Common",
        on_resume="free",
        on_card="name",
        part="pipeline",
    )
    revision: str | None = flag(
        None,
        "Branch, tag or commit of this Hub repository.",
        group="Networks",
        on_resume="free",
        on_card=True,
        part="pipeline",
    )
    freeze_discriminator_layers: int | None = flag(
        None,
        "Number of the discriminator's convolutions, from the image on, that stay as they were in"
        " `--pretrained_model_name_or_path` (FreezeD; default: none).",
        group="Networks",
        range="[1, inf)",
        on_resume="fixed",
        on_card=True,
    )

    def __new__(cls, **given: Any) -> Self:
        args = super().__new__(cls)
        args._given = frozenset(name for name, value in given.items() if value is not None)  # type: ignore[attr-defined]
        return args

    @property
    def given(self) -> frozenset[str]:
        """Names of the arguments that were passed, even with their default values. A parent does not decide these."""
        return self._given  # type: ignore[attr-defined]

    @property
    def is_adversarial(self) -> bool:
        """True if the generator is trained against a discriminator."""
        return True

    def check_networks(self) -> None:
        """Raises a `ValueError` if arguments contradict each other or the networks. With a
        `pretrained_model_name_or_path` or `resume_from_checkpoint`, this is only known once it is loaded."""
        raise NotImplementedError

    def decided_by(self, generator: Any, discriminator: Any) -> dict[str, Any]:
        """Returns the arguments that describe networks with these configs. The second may be `None`."""
        raise NotImplementedError

    def follow(self, decided: dict[str, Any]) -> Self:
        r"""
        Returns these arguments, completed. Those that were given stay as they are.

        Args:
            decided (`dict[str, Any]`):
                Arguments that a parent or a checkpoint decides, by name. Network configs are completed field by field.
        """
        followed = copy.copy(self)
        for name, value in decided.items():
            if name in NETWORK_ARGUMENTS:
                fields = parse_object(name, value) | parse_object(name, getattr(self, name))
                setattr(followed, name, json.dumps(fields, sort_keys=True))
            elif name not in self.given:
                setattr(followed, name, value)
        followed.check_networks()
        return followed
