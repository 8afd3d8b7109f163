# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Publishes the folder of a model on the Hub, or tries to without ever harming the run that made it."""

import logging
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline
from huggingface_hub import (
    CommitOperationAdd,
    ModelCard,
    ModelCardData,
    create_commit,
    create_repo,
    get_token,
    upload_folder,
)
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError

from ..evaluation.records import read_metrics
from ..model_folder import ARGUMENTS_FILE, CARD_FILE, METRICS_FILE, PUBLISHED_FILES, read_json
from .card import card_is_generated, eval_results, render_model_card
from .examples import save_examples


logger = logging.getLogger(__name__)

# The client's errors, of an answer or of none: httpx's with huggingface_hub 1, httpx2's with 2.
HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]

# Seconds to wait before trying again. The client tries again itself where it uploads, but not where it makes the commit.
_WAITS = (2, 8)
# Seconds after which a run goes on without an answer. The client would wait for ever.
_PATIENCE_AT_START = 60
_PATIENCE_AT_END = 1800


@dataclass
class Publication:
    """
    What a publication is like.

    Args:
        commit_message (`str`, *optional*):
            Message of the commit.
        private (`bool`, *optional*):
            Whether a new repository is private. By default what the organization has set.
        token (`str`, *optional*):
            Access token. By default the one of `hf auth login`.
        create_pr (`bool`, *optional*, defaults to `False`):
            Whether to open a pull request instead.
        license (`str`, *optional*):
            License of the model, for the card.
        base_model (`str`, *optional*):
            Repository of the model that this one was made from, for the card.
        keep_card (`bool`, *optional*, defaults to `False`):
            Whether any card in the repository stays. A card that its owner has made their own always does.
    """

    commit_message: str | None = None
    private: bool | None = None
    token: str | None = None
    create_pr: bool = False
    license: str | None = None
    base_model: str | None = None
    keep_card: bool = False


def write_model_page(
    pipe: DiffusionPipeline, folder: Path, repo_id: str, license: str | None = None, base_model: str | None = None
) -> None:
    r"""
    Writes example images, if the pipeline makes some of nothing but seeds, and `README.md`, the model card, into the folder
    of a saved pipeline. A card that its owner has made their own (see [`card_is_generated`]) stays.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The pipeline.
        folder (`Path`):
            Folder where it was saved.
        repo_id (`str`):
            Repository that the code on the card loads.
        license (`str`, *optional*):
            License of the model.
        base_model (`str`, *optional*):
            Repository of the model that this one was made from.
    """
    if pipe.draws_from_seeds:
        save_examples(pipe, folder)
    _write_card(pipe, folder, repo_id, license, base_model)


def _write_card(
    pipe: DiffusionPipeline, folder: Path, repo_id: str, license: str | None, base_model: str | None
) -> None:
    card = folder / CARD_FILE
    if not card.is_file() or card_is_generated(card.read_text()):
        card.write_text(str(render_model_card(pipe, folder, repo_id, license, base_model)))


def update_card(pipe: DiffusionPipeline, folder: Path) -> None:
    """Writes the card of a saved pipeline again, after measurements, unless its owner has made it their own."""
    path = folder / CARD_FILE
    told = ModelCard.load(path).data.to_dict() if path.is_file() else {}
    repo_id = read_json(folder / ARGUMENTS_FILE).get("hub_model_id") or folder.absolute().name
    _write_card(pipe, folder, repo_id, told.get("license"), told.get("base_model"))


def publish_metrics(pipe: DiffusionPipeline, folder: Path, repo_id: str, token: str | None = None) -> str:
    r"""
    Adds the measurements in a folder to a model on the Hub: `metrics.json`, and the `model-index` of its card. Those of
    others that are there stay.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The model.
        folder (`Path`):
            Folder with a `metrics.json`.
        repo_id (`str`):
            The repository.
        token (`str`, *optional*):
            Access token. By default the one of `hf auth login`.

    Returns:
        `str`: address of the commit.
    """
    results = eval_results(read_metrics(folder), pipe.task)

    def upload() -> str:
        card = ModelCard.load(repo_id, token=token)
        card.data.model_name = card.data.model_name or repo_id.split("/")[-1]
        others = [
            there
            for there in card.data.eval_results or []
            if not any(there.is_equal_except_value(result) for result in results)
        ]
        card.data.eval_results = [*others, *results]
        files = {CARD_FILE: str(card).encode(), METRICS_FILE: (folder / METRICS_FILE).read_bytes()}
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        commit = create_commit(repo_id, operations, commit_message="Add measurements", token=token)
        return commit.commit_url

    return persistently(upload, repo_id)


def publish_folder(folder: Path, repo_id: str, publication: Publication) -> str:
    r"""
    Uploads the [`PUBLISHED_FILES`] of a folder to a repository that exists, in one commit.

    Args:
        folder (`Path`):
            The folder.
        repo_id (`str`):
            The repository.
        publication ([`Publication`]):
            Message, token and so on.

    Returns:
        `str`: address of the commit.
    """

    def upload() -> str:
        stays = _has_card(repo_id, publication.token, of_its_own=not publication.keep_card)
        commit = upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=[name for name in PUBLISHED_FILES if not (stays and name == CARD_FILE)],
            commit_message=publication.commit_message or "Upload DCGAN",
            token=publication.token,
            create_pr=publication.create_pr,
        )
        return commit.pr_url or commit.commit_url

    return persistently(upload, repo_id)


def persistently(function: Callable[[], Any], repo_id: str) -> Any:
    """Calls a function that speaks with the Hub, again if it fails in a way that may pass."""
    for wait in _WAITS:
        try:
            return function()
        except HTTPError as error:
            if not _may_pass(error):
                raise
            wait = max(wait, _retry_after(error))
            logger.warning(f"Publishing on {repo_id} failed, trying again in {wait} s: {_reason(error)}")
            time.sleep(wait)
    return function()


def _create_repo(repo_id: str, private: bool | None, token: str | None = None) -> str:
    return persistently(lambda: create_repo(repo_id, private=private, token=token, exist_ok=True).repo_id, repo_id)


def _has_card(repo_id: str, token: str | None, of_its_own: bool) -> bool:
    try:
        card = ModelCard.load(repo_id, token=token)
    except RemoteEntryNotFoundError:
        return False
    return not (of_its_own and card_is_generated(card.content))


def _may_pass(error: BaseException) -> bool:
    """Tells if an error is of the kind that goes away: no answer, too many requests, another commit at that moment."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 409, 412, 429) or error.response.status_code >= 500
    return isinstance(error, HTTPError)


def _retry_after(error: BaseException) -> int:
    """Seconds that the Hub asks to wait, at most 5 minutes."""
    header = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return min(int(header), 300) if header.isdecimal() else 0


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, HfHubHTTPError):
        response = f"{error.response.status_code} {error.response.reason_phrase}"
        said_already = (None, "", error.response.reason_phrase)
        return response if error.server_message in said_already else f"{response}: {error.server_message}"
    if isinstance(error, RuntimeError) and error.__cause__ is not None:  # the client's, when an upload fails
        return f"{error} {_reason(error.__cause__)}"
    return f"{type(error).__name__}: {str(error).strip() or 'no message'}".splitlines()[0]


def publish_pipeline(
    pipe: DiffusionPipeline, folder: Path, repo_id: str, publication: Publication | None = None
) -> str:
    r"""
    Publishes a saved pipeline with its page.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The pipeline.
        folder (`Path`):
            Folder where it was saved.
        repo_id (`str`):
            Repository, which is created if it does not exist. Without a namespace, it is the user's own.
        publication ([`Publication`], *optional*):
            Message, token, license and so on.

    Returns:
        `str`: address of the commit.
    """
    publication = publication or Publication()
    repo_id = _create_repo(repo_id, publication.private, publication.token)
    write_model_page(pipe, folder, repo_id, publication.license, publication.base_model)
    return publish_folder(folder, repo_id, publication)


def _in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
    """Calls a function in a thread that does not keep the process alive."""
    future: Future = Future()

    def call() -> None:
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, name="publish", daemon=True).start()
    return future


class RunPublisher:
    r"""
    Publishes the model of a run, at its end or also in between, in a thread. Once training has begun, nothing that goes
    wrong here stops it: it is logged, with the command that publishes the model later.

    Args:
        output_dir (`Path`):
            Folder of the run.
        repo_id (`str`):
            Repository, which is created if it does not exist.
        private (`bool`):
            Whether a new repository is private.
        license (`str`, *optional*):
            License of the model.

    Raises:
        ValueError: if nobody is logged in, or if the Hub refuses this user, name or license. (If the Hub is not in
            reach, training begins nevertheless.)
    """

    def __init__(self, output_dir: Path, repo_id: str, private: bool, license: str | None):
        self.output_dir = output_dir
        self.repo_id = repo_id
        self.private = private or None  # None leaves it to what the organization has set
        self._upload: Future | None = None
        if get_token() is None:
            raise ValueError("`push_to_hub` needs a token: log in with `hf auth login`, or set HF_TOKEN.")
        try:
            self.repo_id = _in_thread(self._prepare, license).result(_PATIENCE_AT_START)
        except Exception as error:  # whatever a network may do
            if isinstance(error, ValueError) or (isinstance(error, HfHubHTTPError) and not _may_pass(error)):
                raise ValueError(f"`push_to_hub` to {repo_id!r} is refused: {_reason(error)}") from None
            logger.warning(f"The Hub cannot be reached, training starts anyway: {_reason(error)}")

    def _prepare(self, license: str | None) -> str:
        ModelCard(f"---\n{ModelCardData(license=license)}\n---\n").validate()
        return create_repo(self.repo_id, private=self.private, exist_ok=True).repo_id

    def publish_in_background(self, pipe: DiffusionPipeline, files: list[Path], step: int) -> None:
        r"""
        Starts to publish the model as it is now, unless the last time still goes on. Training can go on at once.

        Args:
            pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
                The model.
            files (`list[Path]`):
                Files in the output folder that belong to the page.
            step (`int`):
                Number of updates.
        """
        if self._upload is not None and not self._upload.done():
            logger.info(f"Step {step} is not published: the upload of an earlier one still goes on.")
            return
        folder = Path(tempfile.mkdtemp(prefix="dcgan-publish-"))
        pipe.save_pretrained(folder)
        for file in files:
            copy = folder / file.relative_to(self.output_dir)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(file, copy)
        write_model_page(pipe, folder, self.repo_id)
        self._upload = _in_thread(self._publish_copy, folder, step)

    def _publish_copy(self, folder: Path, step: int) -> None:
        try:
            repo_id = _create_repo(self.repo_id, self.private)
            logger.info(f"Published: {publish_folder(folder, repo_id, Publication(f'Training, step {step}'))}")
        except Exception as error:  # nothing that happens here may cost the run
            logger.warning(f"Step {step} is not published: {_reason(error)}")
        finally:
            shutil.rmtree(folder)

    def finish(self, pipe: DiffusionPipeline, step: int) -> None:
        """Waits for an upload that goes on, and publishes the output folder, where the pipeline was saved."""
        publication = Publication(f"Training, step {step}", self.private)
        try:
            if self._upload is not None:
                self._upload.result(_PATIENCE_AT_END)
            published = _in_thread(publish_pipeline, pipe, self.output_dir, self.repo_id, publication)
            logger.info(f"Published: {published.result(_PATIENCE_AT_END)}")
        except Exception as error:  # as above
            command = ["dcgan", "push", str(self.output_dir), "--hub_model_id", self.repo_id]
            command += ["--hub_private_repo"] if self.private else []
            logger.warning(
                f"Not published: {_reason(error)}\nNothing is lost: the model is complete in {self.output_dir}."
                f" Publish it later with:\n    {shlex.join(command)}"
            )
