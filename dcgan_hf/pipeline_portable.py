# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Base of all pipelines: saves models with the code that loads them, loads models without their code, publishes."""

# A copy of this file must also work in a model repository. It imports no other module of dcgan_hf, because diffusers
# copies the files that a pipeline's file imports from a local folder, but not the files that those import.
import importlib
import inspect
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError


class PortablePipelineMixin:
    r"""
    Mixin for pipelines, used beside [`DiffusionPipeline`]. It is not a [`DiffusionPipeline`] itself, because diffusers
    cannot load a file that contains two of them.

    A pipeline has a `generator` and, optionally, a `discriminator`. Subclasses set these class attributes:

    - `network_classes` (`dict[str, type]`): network class of each component. Their configurations are
      [`PortableConfig`]s.
    - `task` (`str`), `tags` (`list[str]`): pipeline tag and tags of the model card, for the Hub's search.
    - `card_template` (`str`): file name of the model card's template in `templates/`.
    - `draws_from_seeds` (`bool`): whether seeds are the only input, so that the model card can show examples.
    - `space_template` (`str`), `space_tags` (`list[str]`), `space_packages` (`list[str]`): of a Space that shows the
      model: template of its page, its tags, and the packages that its demo imports beside Gradio.
    """

    network_classes: ClassVar[dict[str, Any]]
    task: ClassVar[str]
    tags: ClassVar[list[str]]
    card_template: ClassVar[str]
    draws_from_seeds: ClassVar[bool]
    space_template: ClassVar[str]
    space_tags: ClassVar[list[str]]
    space_packages: ClassVar[list[str]]
    config_name: ClassVar[str]

    @classmethod
    def download(cls, pretrained_model_name: str, **kwargs: Any) -> str:
        r"""
        Downloads a pipeline from the Hub: networks and configurations, never code.

        Args:
            pretrained_model_name (`str`):
                Repository on the Hub.
            variant (`str`, *optional*):
                Variant of the weight files, such as `"fp16"`.
            cache_dir, force_download, local_files_only, revision, token (*optional*):
                See [`~huggingface_hub.snapshot_download`].

        Returns:
            `str`: path of the folder in the cache.

        Raises:
            OSError: if the repository or revision does not exist, or if it is not in the cache and the Hub cannot be
                reached.
        """
        variant = f".{kwargs['variant']}" if kwargs.get("variant") else ""
        patterns = [cls.config_name]
        for component in cls.network_classes:
            if component not in kwargs:  # otherwise the caller passes the network
                names = ("config.json", f"model{variant}.safetensors", f"model{variant}-*-of-*.safetensors")
                patterns += [f"{component}/{name}" for name in (*names, f"model.safetensors.index{variant}.json")]
        passed_on = ("cache_dir", "force_download", "local_files_only", "revision", "token")
        options = {name: kwargs[name] for name in passed_on if kwargs.get(name) is not None}
        try:
            return snapshot_download(pretrained_model_name, allow_patterns=patterns, **options)
        except RepositoryNotFoundError as error:
            raise OSError(
                f"{pretrained_model_name!r} is neither a local folder nor a model on the Hub that you have access to."
                " If it is private, log in (`hf auth login`) or pass `token`."
            ) from error
        except RevisionNotFoundError as error:
            raise OSError(f"{pretrained_model_name!r} has no revision {kwargs['revision']!r}.") from error
        except LocalEntryNotFoundError as error:
            raise OSError(
                f"{pretrained_model_name!r} is neither a local folder nor in the cache, and the Hub cannot be reached:"
                f" {error}"
            ) from error

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """Loads the pipeline's configuration, see [`~diffusers.ConfigMixin.load_config`]. Networks load as the
        pipeline's `network_classes`, not with the code beside them, so that no code has to be trusted. Raises a
        `ValueError` if the networks are those of another pipeline. Completes an interrupted `save_pretrained` first."""
        if args and os.path.isdir(args[0]):
            cls.network_classes["generator"].config_class.finish_replacing(Path(args[0]))
        loaded = super().load_config(*args, **kwargs)  # type: ignore[misc]  # DiffusionPipeline's
        index = loaded[0] if isinstance(loaded, tuple) else loaded
        right_class = _class_name_in(index, cls.config_name)
        index["_class_name"] = cls.__name__
        for name, network_class in cls.network_classes.items():
            component = index.get(name, [None, None])
            if not isinstance(component, list) or len(component) != 2:
                raise ValueError(
                    f"`{name}` in {cls.config_name} must be a list of module and class, got {component!r}."
                )
            class_name = component[1]
            if class_name == network_class.__name__:
                index[name] = [network_class.__module__, class_name]
            elif class_name is not None and right_class != cls.__name__:  # otherwise the network is custom
                raise ValueError(
                    f"The saved pipeline is a `{right_class}`, and its {name} is a `{class_name}`. Use"
                    f" `{right_class}.from_pretrained` instead of `{cls.__name__}.from_pretrained`."
                )
        return loaded

    def save_pretrained(
        self, save_directory: str | os.PathLike, *args: Any, push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        r"""
        Saves networks, configurations and the code that loads them without dcgan_hf.

        Args:
            save_directory (`str` or `os.PathLike`):
                Folder to save to.
            variant (`str`, *optional*):
                Variant of the weight files: `"fp16"` writes `model.fp16.safetensors`.
            push_to_hub (`bool`, *optional*, defaults to `False`):
                Whether to publish the folder afterwards, with the arguments of
                [`~PortablePipelineMixin.push_to_hub`]. `repo_id` defaults to the folder's name.
        """
        publishing_names = ("repo_id", "commit_message", "private", "token", "create_pr")
        publishing_options = {name: kwargs.pop(name) for name in publishing_names if name in kwargs}
        # In a model repository, the code of the networks is the only other code.
        replacing_files = self.network_classes["generator"].config_class.replacing_files
        with replacing_files(Path(save_directory)) as folder:
            super().save_pretrained(folder, *args, **kwargs)  # type: ignore[misc]  # DiffusionPipeline's
            self._save_code(folder)
        if push_to_hub:
            folder = Path(save_directory)
            self._publish(folder, **({"repo_id": folder.absolute().name} | publishing_options))

    def _save_code(self, folder: Path) -> None:
        """Adds the code that loads a saved pipeline without dcgan_hf, and names it in the index."""
        index = json.loads((folder / self.config_name).read_text())
        index.pop("_name_or_path", None)  # local path that the pipeline was loaded from
        # Custom subclasses are saved as their base class in dcgan_hf, whose file loads without further modules.
        pipeline_class = next(base for base in type(self).__mro__ if "network_classes" in vars(base))
        pipeline_file = Path(inspect.getfile(pipeline_class))
        for name, network_class in self.network_classes.items():
            if index.get(name, (None, None))[1] == network_class.__name__:
                index[name][0] = network_class.config_class.code_module
        index["_class_name"] = [pipeline_file.stem, pipeline_class.__name__]
        (folder / self.config_name).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
        for file in (pipeline_file, Path(__file__)):
            shutil.copyfile(file, folder / file.name)
        # transformers looks for code in the root only, and the pipeline's file imports the code of both networks from
        # there, even without a discriminator. The Hub counts downloads of the config.json in the root.
        for network_class in self.network_classes.values():
            network_class.config_class.save_code(folder)
        shutil.copyfile(folder / "generator" / "config.json", folder / "config.json")

    def push_to_hub(
        self,
        repo_id: str,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        create_pr: bool = False,
        variant: str | None = None,
    ) -> str:
        r"""
        Publishes the pipeline on the Hub in one commit: networks, the code that loads them without dcgan_hf, example
        images and, unless the repository already has one, a model card. Requires dcgan_hf.

        Args:
            repo_id (`str`):
                Repository on the Hub, created if it does not exist.
            commit_message (`str`, *optional*):
                Message of the commit.
            private (`bool`, *optional*):
                Whether to make a new repository private. Defaults to the organization's setting.
            token (`str`, *optional*):
                Access token. Defaults to the one of `hf auth login`.
            create_pr (`bool`, *optional*, defaults to `False`):
                Whether to open a pull request instead of committing directly.
            variant (`str`, *optional*):
                Variant of the weight files: `"fp16"` adds `model.fp16.safetensors` to the existing files.

        Returns:
            `str`: URL of the commit.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, variant=variant)
            options = {"commit_message": commit_message, "private": private, "token": token, "create_pr": create_pr}
            return self._publish(Path(folder), repo_id, **options)

    def _publish(self, folder: Path, repo_id: str, **options: Any) -> str:
        # By name, because loaders of the copy in a model repository treat every import statement as a requirement.
        publishing = importlib.import_module("dcgan_hf.publishing.upload")
        publication = publishing.Publication(**options, keep_card=True)
        return publishing.publish_pipeline(self, folder, repo_id, publication)


def _class_name_in(index: Any, place: str) -> str:
    """Returns the pipeline's class in a model_index.json. The first version saved the name without its module."""
    name = index.get("_class_name") if isinstance(index, dict) else None
    name = name[1] if isinstance(name, list) and len(name) == 2 else name
    if not isinstance(name, str):
        raise ValueError(f"{place} must be a JSON object that names the pipeline in `_class_name`, got {name!r}.")
    return name


def saved_pipeline_class(folder: Path) -> Any:
    r"""
    Returns the class of a saved pipeline.

    Args:
        folder (`Path`):
            Folder of the pipeline.

    Raises:
        ValueError: if the folder contains no pipeline, or if its class is unknown.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise ValueError(f"`folder={folder}` contains no saved pipeline: {index.name} is missing.")
    try:
        class_name = _class_name_in(json.loads(index.read_text()), str(index))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{index} is not JSON: {error}") from error
    classes = {pipeline_class.__name__: pipeline_class for pipeline_class in PortablePipelineMixin.__subclasses__()}
    if class_name not in classes:
        raise ValueError(f"`_class_name` in {index} must be one of {sorted(classes)}, got {class_name!r}.")
    return classes[class_name]


__all__ = ["PortablePipelineMixin", "saved_pipeline_class"]
