# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Base of all pipelines: saving with the code that loads them, loading without it, publishing."""

# The file must also work as a copy in a model repository. It imports nothing of ours: from a local folder diffusers
# takes the files that the pipeline's own file imports, but not those that they import.
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
    Base of the pipelines, beside [`DiffusionPipeline`], of which it is no subclass itself: in a file that holds two of
    them, diffusers does not know which to load.

    A pipeline has a `generator` and, optionally, a `discriminator`. Its class says what it is in class attributes:

    - `network_classes` (`dict[str, type]`): the classes of its networks by component. Their configurations are
      [`PortableConfig`]s.
    - `task` (`str`), `tags` (`list[str]`): what the Hub's search finds it by.
    - `card_template` (`str`): file of its model card's text in `templates/`.
    - `draws_from_seeds` (`bool`): whether it makes images of nothing but seeds, so that its card can show some.
    """

    network_classes: ClassVar[dict[str, Any]]
    task: ClassVar[str]
    tags: ClassVar[list[str]]
    card_template: ClassVar[str]
    draws_from_seeds: ClassVar[bool]
    config_name: ClassVar[str]

    @classmethod
    def download(cls, pretrained_model_name: str, **kwargs: Any) -> str:
        r"""
        Downloads a pipeline from the Hub: networks and their configurations, never code.

        Args:
            pretrained_model_name (`str`):
                A repository on the Hub.
            variant (`str`, *optional*):
                Variant of the weights' files, such as `"fp16"`.
            cache_dir, force_download, local_files_only, revision, token (*optional*):
                See [`~huggingface_hub.snapshot_download`].

        Returns:
            `str`: the folder in the cache.

        Raises:
            OSError: if there is no such repository or revision, or if it is neither in reach nor in the cache.
        """
        variant = f".{kwargs['variant']}" if kwargs.get("variant") else ""
        patterns = [cls.config_name]
        for component in cls.network_classes:
            if component not in kwargs:  # else the caller has one
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
                f"{pretrained_model_name!r} is neither a local folder nor in the cache, and the Hub cannot be asked:"
                f" {error}"
            ) from error

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """See [`~diffusers.ConfigMixin.load_config`]. Networks are loaded as the pipeline's `network_classes` and not
        with code that lies beside them, so that nothing has to be trusted. Raises a `ValueError` for those of another one."""
        loaded = super().load_config(*args, **kwargs)  # type: ignore[misc]  # DiffusionPipeline's
        index = loaded[0] if isinstance(loaded, tuple) else loaded
        saved_class = index["_class_name"]
        right_class = saved_class if isinstance(saved_class, str) else saved_class[1]
        index["_class_name"] = cls.__name__
        for name, network_class in cls.network_classes.items():
            _, class_name = index.get(name, (None, None))
            if class_name == network_class.__name__:
                index[name] = [network_class.__module__, class_name]
            elif class_name is not None and right_class != cls.__name__:  # else the network is somebody's own
                raise ValueError(
                    f"This is a `{right_class}`, whose {name} is a `{class_name}`: load it with"
                    f" `{right_class}.from_pretrained`, not with `{cls.__name__}`."
                )
        return loaded

    def save_pretrained(
        self, save_directory: str | os.PathLike, *args: Any, push_to_hub: bool = False, **kwargs: Any
    ) -> None:
        r"""
        Saves networks, configurations and the code that loads them where this package is not installed.

        Args:
            save_directory (`str` or `os.PathLike`):
                Folder to save to.
            variant (`str`, *optional*):
                Name for the weights' files: `"fp16"` writes `model.fp16.safetensors`.
            push_to_hub (`bool`, *optional*, defaults to `False`):
                Whether to publish the folder then, with the arguments of [`~PortablePipelineMixin.push_to_hub`].
                Without `repo_id`, it has the folder's name.
        """
        publishing_names = ("repo_id", "commit_message", "private", "token", "create_pr")
        publishing_options = {name: kwargs.pop(name) for name in publishing_names if name in kwargs}
        super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]  # DiffusionPipeline's
        folder = Path(save_directory)
        index = json.loads((folder / self.config_name).read_text())
        index.pop("_name_or_path", None)  # says where on this machine the pipeline was loaded from
        # What somebody else derived is saved as the class of this package, whose file needs nothing else to load.
        pipeline_class = next(base for base in type(self).__mro__ if "network_classes" in vars(base))
        pipeline_file = Path(inspect.getfile(pipeline_class))
        for name, network_class in self.network_classes.items():
            if index.get(name, (None, None))[1] == network_class.__name__:
                index[name][0] = network_class.config_class.code_module
        index["_class_name"] = [pipeline_file.stem, pipeline_class.__name__]
        (folder / self.config_name).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
        for file in (pipeline_file, Path(__file__)):
            shutil.copyfile(file, folder / file.name)
        # transformers looks for code at the root only, and the pipeline's file imports that of both networks there,
        # even if there is no discriminator. The Hub counts downloads of a config.json there.
        for network_class in self.network_classes.values():
            network_class.config_class.save_code(folder)
        shutil.copyfile(folder / "generator" / "config.json", folder / "config.json")
        if push_to_hub:
            self._publish(folder, **({"repo_id": folder.absolute().name} | publishing_options))

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
        Publishes the pipeline on the Hub, in one commit: networks, the code that loads them without this package,
        example images and, unless the repository already has one, a model card. Needs the package.

        Args:
            repo_id (`str`):
                Repository, which is created if it does not exist.
            commit_message (`str`, *optional*):
                Message of the commit.
            private (`bool`, *optional*):
                Whether a new repository is private. By default what the organization has set.
            token (`str`, *optional*):
                Access token. By default the one of `hf auth login`.
            create_pr (`bool`, *optional*, defaults to `False`):
                Whether to open a pull request instead.
            variant (`str`, *optional*):
                Name for the weights' files: `"fp16"` adds `model.fp16.safetensors` to those that are there.

        Returns:
            `str`: address of the commit.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, variant=variant)
            options = {"commit_message": commit_message, "private": private, "token": token, "create_pr": create_pr}
            return self._publish(Path(folder), repo_id, **options)

    def _publish(self, folder: Path, repo_id: str, **options: Any) -> str:
        # By name, because loaders of the copy in a model repository take every import statement for a requirement.
        publishing = importlib.import_module("dcgan_hf.publishing.upload")
        publication = publishing.Publication(**options, keep_card=True)
        return publishing.publish_pipeline(self, folder, repo_id, publication)


def saved_pipeline_class(folder: Path) -> Any:
    r"""
    Returns the class of a saved pipeline.

    Args:
        folder (`Path`):
            Folder of the pipeline.

    Raises:
        ValueError: if there is none, or if its class is not known.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise ValueError(f"`folder={folder}` holds no saved pipeline: there is no {index.name}.")
    class_name = json.loads(index.read_text())["_class_name"]
    # The first version wrote the class alone, not the module before it.
    class_name = class_name if isinstance(class_name, str) else class_name[1]
    classes = {pipeline_class.__name__: pipeline_class for pipeline_class in PortablePipelineMixin.__subclasses__()}
    if class_name not in classes:
        raise ValueError(f"`_class_name` in {index} must be one of {sorted(classes)}, got {class_name!r}.")
    return classes[class_name]


__all__ = ["PortablePipelineMixin", "saved_pipeline_class"]
