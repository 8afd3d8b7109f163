# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Base of all configurations: with them is saved the code that loads them where this package is not."""

import ast
import os
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedConfig


# Networks that belong into a module's file, too, but that it does not import.
_FURTHER_NETWORKS = {"modeling_dcgan": ["modeling_dcgan_classification"]}


def code_of_networks(module: str = "modeling_dcgan") -> str:
    r"""
    A module of networks and all that it imports of this package, as one file, which needs no package.

    One, because diffusers downloads just one file for each network of a pipeline.

    Args:
        module (`str`, *optional*, defaults to `"modeling_dcgan"`):
            Name of the module.
    """
    here = Path(__file__)
    if here.name != "configuration_portable.py":  # the one file itself, in a model repository
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
            elif node.module not in bodies:  # comes first, because it is needed here
                add(node.module)
        exports = nodes[-1]  # __all__
        names.extend(ast.literal_eval(exports.value))
        bodies[name] = "\n".join(source.splitlines()[import_nodes[-1].end_lineno : exports.lineno - 1]).strip()

    for name in (module, *_FURTHER_NETWORKS.get(module, ())):
        add(name)
    parts = [
        "# Copyright 2026 The dcgan_hf authors.\n# Licensed under the Apache License, Version 2.0.",
        '"""Networks of a DCGAN. Made from the modules of dcgan_hf, so that they load without it."""',
        "\n".join(sorted(imports)),
        *bodies.values(),
        f"__all__ = {sorted(names)}",
    ]
    return "\n\n\n".join(parts) + "\n"


class PortableConfig(PreTrainedConfig):
    r"""
    Base of the configurations. Their networks load with `trust_remote_code=True` where this package is not installed.

    Class attributes that each configuration sets:

    - `code_module` (`str`): the module of its networks, which also names the file of code that is saved.
    - `_auto_classes` (`dict[str, str]`): the classes of that module that transformers' `AutoConfig`, `AutoModel`, ...
      load.
    """

    _auto_classes: ClassVar[dict[str, str]] = {}
    code_module: ClassVar[str]

    @classmethod
    def save_code(cls, folder: Path) -> None:
        """Writes the networks' code into a folder, as one file."""
        (folder / f"{cls.code_module}.py").write_text(code_of_networks(cls.code_module))

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """See [`~transformers.PreTrainedConfig.save_pretrained`]. Writes the networks' code, too, so that the folder
        loads where this package is not installed."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.save_code(folder)
        self.auto_map = {auto: f"{self.code_module}.{name}" for auto, name in self._auto_classes.items()}
        super().save_pretrained(save_directory, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """What is saved. Without names of classes if there are none, so that those of a classifier can be added, and
        without `dtype`, which the weights' file tells: an fp16 variant must not make the other weights load as fp16."""
        content = super().to_dict()
        del content["dtype"]
        return {name: value for name, value in content.items() if value or name not in ("id2label", "label2id")}


__all__ = ["PortableConfig"]
