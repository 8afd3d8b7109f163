# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The demo of a model as a Space: a folder that holds all that it needs, and its publication on the Hub."""

import importlib.metadata
import json
import platform
import shutil
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub import SpaceCard, SpaceCardData, create_repo, file_exists, upload_folder

from ..model_folder import DIRECTIONS_FILE, PUBLISHED_FILES
from ..templates import read_template
from ..version import __version__
from .card import GENERATED, card_is_generated
from .upload import persistently


# What leaves the machine: nothing else does, whatever lies in the folder. (A star stands for folders, too.)
SPACE_FILES = [
    "LICENSE",
    "README.md",
    "app.py",
    "dcgan_hf/*.py",
    "dcgan_hf/templates/*.html",
    "dcgan_hf/templates/*.md",
    "dcgan_hf/recipes/*.yaml",
    "dcgan_hf/py.typed",
    *(f"model/{name}" for name in PUBLISHED_FILES),
    "requirements.txt",
]
# What the demo imports besides the dependencies of the package.
_PACKAGES_OF_DEMO = ("captum", "gradio")
_APP = '''"""The demo of a DCGAN. Written by `dcgan demo` of dcgan_hf {version}."""

{import_path}from dcgan_hf.interpretability.demo.app import LAUNCH_OPTIONS, load_demo


demo = load_demo({model}, title={title})

if __name__ == "__main__":
    demo.launch(**LAUNCH_OPTIONS)
'''


def requirements() -> list[str]:
    """Returns the demo's requirements for pip: those of the package, and the versions that the demo was made with."""
    of_package = [line for line in importlib.metadata.requires("dcgan-hf") or [] if "extra ==" not in line]
    return [*of_package, *(f"{name}>={importlib.metadata.version(name)}" for name in _PACKAGES_OF_DEMO)]


def save_space(pipe: DiffusionPipeline, model: str, folder: Path, title: str) -> None:
    r"""
    Writes the folder of a Space: `app.py`, `requirements.txt`, `README.md` with the Space's header, and a copy of this package,
    as package indexes do not have it. A model on the Hub is loaded from there, one in a local folder is copied.

    A `README.md` that its owner has made their own (see [`card_is_generated`]) stays.

    Args:
        pipe ([`DCGANPipeline`]):
            The model.
        model (`str`):
            Its folder, or its repository on the Hub.
        folder (`Path`):
            Folder of the Space: a new one, or that of a Space written earlier.
        title (`str`):
            Title of the Space.

    Raises:
        ValueError: if there is something else in the folder.
    """
    app = folder / "app.py"
    is_space = app.is_file() and "dcgan_hf.interpretability.demo" in app.read_text()
    if folder.is_dir() and any(folder.iterdir()) and not is_space:
        raise ValueError(f"`output_dir={folder}` must be a new folder or that of a Space, but it holds other things.")
    if folder.absolute() in Path(model).absolute().parents:
        raise ValueError(f"`output_dir={folder}` must not hold the model, which is {model}.")
    for name in ("dcgan_hf", "model"):
        shutil.rmtree(folder / name, ignore_errors=True)

    package = folder / "dcgan_hf"
    shutil.copytree(Path(__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    license_file = next(file for file in importlib.metadata.files("dcgan-hf") or [] if file.name == "LICENSE")
    (folder / "LICENSE").write_text(license_file.read_text())

    is_local = Path(model).is_dir()
    if is_local:
        pipe.save_pretrained(folder / "model")
        for name in (DIRECTIONS_FILE, "README.md"):
            if (Path(model) / name).is_file():
                shutil.copyfile(Path(model) / name, folder / "model" / name)
    app.write_text(
        _APP.format(
            version=__version__,
            import_path="from pathlib import Path\n\n" if is_local else "",
            model='Path(__file__).parent / "model"' if is_local else json.dumps(model),
            title=json.dumps(title),
        )
    )
    (folder / "requirements.txt").write_text("\n".join(requirements()) + "\n")

    page = folder / "README.md"
    if not page.is_file() or card_is_generated(page.read_text()):
        data = SpaceCardData(
            title=title,
            emoji="🎨",
            colorFrom="yellow",
            colorTo="blue",
            sdk="gradio",
            sdk_version=importlib.metadata.version("gradio"),
            python_version=".".join(platform.python_version_tuple()[:2]),
            app_file="app.py",
            license="apache-2.0",
            models=None if is_local else [model],
            tags=[*pipe.tags, "interpretability"],
        )
        card = SpaceCard.from_template(
            data,
            template_str=read_template("space.md"),
            generated=GENERATED,
            title=title,
            model=None if is_local else model,
            has_discriminator=pipe.discriminator is not None,
            version=__version__,
        )
        page.write_text(str(card))


def publish_space(folder: Path, repo_id: str, private: bool | None = None, token: str | None = None) -> str:
    r"""
    Publishes the folder of a Space, in one commit. Of an earlier one it replaces all but a page that its owner has made their
    own.

    Args:
        folder (`Path`):
            What [`save_space`] wrote.
        repo_id (`str`):
            The Space, which is created if it does not exist. Without a namespace, it is the user's own.
        private (`bool`, *optional*):
            Whether a new Space is private.
        token (`str`, *optional*):
            Access token. By default the one of `hf auth login`.

    Returns:
        `str`: address of the commit.
    """

    def upload() -> str:
        space = create_repo(
            repo_id, repo_type="space", space_sdk="gradio", private=private, token=token, exist_ok=True
        )
        # A Space without an app is new: its page is the one that the Hub wrote.
        stays = file_exists(space.repo_id, "app.py", repo_type="space", token=token) and not card_is_generated(
            SpaceCard.load(space.repo_id, token=token).content
        )
        commit = upload_folder(
            repo_id=space.repo_id,
            repo_type="space",
            folder_path=folder,
            allow_patterns=[name for name in SPACE_FILES if not (stays and name == "README.md")],
            delete_patterns=["dcgan_hf/*", "model/*"],  # what the new one no longer has
            commit_message="Upload the demo of a DCGAN",
            token=token,
        )
        return commit.commit_url

    return persistently(upload, repo_id)
