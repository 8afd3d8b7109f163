# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Base config: saves the modeling code beside itself, so that models load without dcgan_hf."""

import ast
import os
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedConfig

from .files import finish_replacing, replacing_files


MAX_LABELS = 100_000  # ImageNet-21k: 21,843 classes
MAX_LAYERS = 64
MAX_WEIGHTS = 2**30  # 4 GiB in float32, 300 times the network of the paper

# Modules to include in a module's file although it does not import them.
_FURTHER_NETWORKS = {"modeling_dcgan": ["modeling_dcgan_classification"]}


def code_of_networks(module: str = "modeling_dcgan") -> str:
    r"""
    Returns the source of a module of networks and its relative imports as one file that does not need dcgan_hf.

    diffusers downloads a single file for each network of a pipeline.

    Args:
        module (`str`, *optional*, defaults to `"modeling_dcgan"`):
            Name of the module.

    Returns:
        `str`: Python source code.
    """
    here = Path(__file__)
    if here.name != "configuration_portable.py":  # this already is the joined file, in a model repository
        return here.read_text()
    imports: set[str] = set()
    names: list[str] = []
    bodies: dict[str, str] = {}

    def add(name: str) -> None:
        source = here.with_name(f"{name}.py").read_text()
        nodes: list[Any] = ast.parse(source).body
        import_nodes: list[Any] = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in import_nodes:
            if not getattr(node, "level", 0):
                imports.add(ast.unparse(node))
            elif node.module not in bodies:  # dependencies come first
                add(node.module)
        exports = nodes[-1]  # __all__
        names.extend(ast.literal_eval(exports.value))
        bodies[name] = "\n".join(source.splitlines()[import_nodes[-1].end_lineno : exports.lineno - 1]).strip()

    for name in (module, *_FURTHER_NETWORKS.get(module, ())):
        add(name)
    parts = [
        "# Copyright 2026 The dcgan_hf authors.\n# Licensed under the Apache License, Version 2.0.",
        '"""DCGAN networks. Generated from the modules of dcgan_hf, so that they load without it."""',
        "\n".join(sorted(imports)),
        *bodies.values(),
        f"__all__ = {sorted(names)}",
    ]
    return "\n\n\n".join(parts) + "\n"


class PortableConfig(PreTrainedConfig):
    r"""
    Base class of all configurations. Without dcgan_hf, their networks load with `trust_remote_code=True`.

    Subclasses set these class attributes:

    - `code_module` (`str`): module of the networks, and name of the saved code file.
    - `_auto_classes` (`dict[str, str]`): class of that module for each of transformers' `AutoConfig`, `AutoModel`, ...
    - `_maxima` (`dict[str, int]`): largest value of each field that sets a size. Generous, for models that exist.

    `replacing_files` and `finish_replacing` save a folder of several files whole, here for pipelines, whose code in a
    model repository has no other access to them.

    Raises:
        ValueError: if a size is larger than any sensible network needs. Nothing is allocated before.
    """

    _auto_classes: ClassVar[dict[str, str]] = {}
    _maxima: ClassVar[dict[str, int]] = {}
    code_module: ClassVar[str]
    replacing_files = staticmethod(replacing_files)
    finish_replacing = staticmethod(finish_replacing)

    def __post_init__(self, **kwargs: Any) -> None:
        self.check_maxima(**kwargs)
        super().__post_init__(**kwargs)

    def check_maxima(self, **further: Any) -> None:
        """Raises a `ValueError` if a size, or a size in a list, exceeds its maximum. `num_labels` is not a field."""
        sizes = {name: getattr(self, name) for name in self._maxima} | {"num_labels": further.get("num_labels")}
        for name, value in sizes.items():
            maximum = self._maxima.get(name, MAX_LABELS)
            values = value if isinstance(value, list | tuple) else [value]
            if len(values) > MAX_LAYERS:
                raise ValueError(f"`{name}` must have at most {MAX_LAYERS} values, got {len(values)}.")
            if any(number is not None and number > maximum for number in values):
                raise ValueError(f"`{name}` must be at most {maximum:,}, got {value}.")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any) -> Any:
        """Loads a config. See [`~transformers.PreTrainedConfig.from_pretrained`]. Raises a `ValueError` if it is that
        of another model, or wrong."""
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:  # the file holds no JSON object
            subfolder = kwargs.get("subfolder")
            place = f"{pretrained_model_name_or_path}/{subfolder}" if subfolder else pretrained_model_name_or_path
            raise ValueError(f"`config.json` in {place}: {error}") from error

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Builds a config from its fields. See [`~transformers.PreTrainedConfig.from_dict`]. Raises a `ValueError` if
        the fields are those of another model, or wrong."""
        model_type = config_dict.get("model_type", cls.model_type)
        if model_type != cls.model_type:
            raise ValueError(f"the config is that of a {model_type!r}, not of a {cls.model_type!r}.")
        for name in ("attn_implementation", "experts_implementation", "transformers_weights"):  # read without a check
            if not isinstance(config_dict.get(name), str | None):
                raise ValueError(f"`{name}` must be a string, got {config_dict[name]!r}.")
        try:
            return super().from_dict(config_dict, **kwargs)
        except Exception as error:  # of many types: the fields are a stranger's, and become attributes
            reason = " ".join(str(error.__cause__ or error).split())
            raise ValueError(f"config of a {cls.model_type!r}: {reason}") from error

    @classmethod
    def save_code(cls, folder: Path) -> None:
        """Writes the networks' code to a folder, as one file."""
        (folder / f"{cls.code_module}.py").write_text(code_of_networks(cls.code_module))

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Saves the configuration and the networks' code, so that the folder loads without dcgan_hf. See
        [`~transformers.PreTrainedConfig.save_pretrained`]."""
        self.auto_map = {auto: f"{self.code_module}.{name}" for auto, name in self._auto_classes.items()}
        if kwargs.get("push_to_hub"):
            kwargs.setdefault("repo_id", Path(save_directory).absolute().name)
        with replacing_files(Path(save_directory)) as folder:
            self.save_code(folder)
            super().save_pretrained(folder, **kwargs)

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """Reads a saved configuration, see [`~transformers.PreTrainedConfig.get_config_dict`]. Completes an interrupted
        `save_pretrained` first."""
        folder = Path(pretrained_model_name_or_path, kwargs.get("subfolder") or "")
        finish_replacing(folder)
        return super().get_config_dict(pretrained_model_name_or_path, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields to save. Empty class names are omitted, so that a classifier's can be added. `dtype` is
        omitted because the weights file defines it: an fp16 variant must not make the other weights load as fp16."""
        content = super().to_dict()
        del content["dtype"]
        optional = ("id2label", "label2id", "attributes", "combination_counts")
        return {name: value for name, value in content.items() if value or name not in optional}


__all__ = ["MAX_LABELS", "MAX_LAYERS", "MAX_WEIGHTS", "PortableConfig"]
