# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Publishes models on the Hub. A failed upload never stops the run that trained the model."""

import json
import logging
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
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
    hf_hub_download,
    upload_folder,
)
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError
from huggingface_hub.utils import validate_repo_id

from ..evaluation.records import Metric, merge_metrics, read_metrics
from ..files import write_text
from ..flags import check_license
from ..model_folder import ARGUMENTS_FILE, CARD_FILE, METRICS_FILE, VARIANTS, check_no_links, read_json
from .card import card_is_generated, eval_results, render_model_card
from .examples import save_examples
from .privacy import files_to_publish


logger = logging.getLogger(__name__)

# Base of the client's errors, with or without a response: httpx's in huggingface_hub 1, httpx2's in 2.
HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]

# Seconds to wait before each retry. The client itself retries uploads, but not commits.
_WAITS = (2, 8)
# Seconds after which a run stops waiting for a response. The client has no such limit.
_PATIENCE_AT_START = 60
_PATIENCE_AT_END = 1800


@dataclass
class Publication:
    """
    Options of a publication.

    Args:
        commit_message (`str`, *optional*):
            Message of the commit.
        private (`bool`, *optional*):
            Whether a new repository is private. Defaults to the setting of the organization.
        token (`str`, *optional*):
            Access token. Defaults to the one of `hf auth login`.
        create_pr (`bool`, *optional*, defaults to `False`):
            Whether to open a pull request instead of committing to main.
        license (`str`, *optional*):
            License of the model, for the card.
        base_model (`str`, *optional*):
            Repository of the model that this one is derived from, for the card.
        keep_card (`bool`, *optional*, defaults to `False`):
            Whether to keep a generated card in the repository. A customised card is always kept.

    Raises:
        ValueError: if the license or the base model is not an identifier.
    """

    commit_message: str | None = None
    private: bool | None = None
    token: str | None = None
    create_pr: bool = False
    license: str | None = None
    base_model: str | None = None
    keep_card: bool = False

    def __post_init__(self) -> None:
        check_license("license", self.license)
        if self.base_model is not None:
            try:
                validate_repo_id(self.base_model)
            except ValueError as error:
                raise ValueError(f"`base_model={self.base_model}` must be a repository: {error}") from error


def write_model_page(
    pipe: DiffusionPipeline, folder: Path, repo_id: str, license: str | None = None, base_model: str | None = None
) -> None:
    r"""
    Writes example images, if the pipeline generates images from seeds alone, and the model card, `README.md`, into the
    folder of a saved pipeline. A customised card (see [`card_is_generated`]) is kept.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The pipeline.
        folder (`Path`):
            Folder that the pipeline was saved to.
        repo_id (`str`):
            Repository that the code on the card loads from.
        license (`str`, *optional*):
            License of the model.
        base_model (`str`, *optional*):
            Repository of the model that this one is derived from.
    """
    check_no_links(folder)
    if pipe.draws_from_seeds:
        save_examples(pipe, folder)
    _write_card(pipe, folder, repo_id, license, base_model)


def _write_card(
    pipe: DiffusionPipeline, folder: Path, repo_id: str, license: str | None, base_model: str | None
) -> None:
    card = folder / CARD_FILE
    if not card.is_file() or card_is_generated(card.read_text()):
        write_text(str(render_model_card(pipe, folder, repo_id, license, base_model)), card)


def update_card(pipe: DiffusionPipeline, folder: Path) -> None:
    """Rewrites the card of a saved pipeline, for example after measurements. A customised card is kept."""
    check_no_links(folder)
    path = folder / CARD_FILE
    told = ModelCard.load(path).data.to_dict() if path.is_file() else {}
    repo_id = read_json(folder / ARGUMENTS_FILE).get("hub_model_id") or folder.absolute().name
    _write_card(pipe, folder, repo_id, told.get("license"), told.get("base_model"))


def publish_metrics(pipe: DiffusionPipeline, folder: Path, repo_id: str, token: str | None = None) -> str:
    r"""
    Publishes the measurements in a folder: adds them to the repository's `metrics.json`, and to the `model-index` of the
    model's card. Other results are kept.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The model.
        folder (`Path`):
            Folder with a `metrics.json`.
        repo_id (`str`):
            The repository.
        token (`str`, *optional*):
            Access token. Defaults to the one of `hf auth login`.

    Returns:
        `str`: URL of the commit.
    """
    files_to_publish(folder, [METRICS_FILE])
    metrics = read_metrics(folder)
    results = eval_results(metrics, pipe.task)

    def upload() -> str:
        card = ModelCard.load(repo_id, token=token)
        card.data.model_name = card.data.model_name or repo_id.split("/")[-1]
        others = [
            there
            for there in card.data.eval_results or []
            if not any(there.is_equal_except_value(result) for result in results)
        ]
        card.data.eval_results = [*others, *results]
        merged = merge_metrics(_published_metrics(repo_id, token), metrics)
        content = json.dumps([asdict(metric) for metric in merged], indent=2) + "\n"
        files = {CARD_FILE: str(card).encode(), METRICS_FILE: content.encode()}
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        commit = create_commit(repo_id, operations, commit_message="Add evaluation results", token=token)
        return commit.commit_url

    return persistently(upload, repo_id)


def _published_metrics(repo_id: str, token: str | None) -> list[Metric]:
    try:
        return read_metrics(Path(hf_hub_download(repo_id, METRICS_FILE, token=token)).parent)
    except RemoteEntryNotFoundError:
        return []


def publish_folder(folder: Path, repo_id: str, publication: Publication) -> str:
    r"""
    Uploads the [`PUBLISHED_FILES`] of a folder to an existing repository, in one commit.

    Args:
        folder (`Path`):
            The folder.
        repo_id (`str`):
            The repository.
        publication ([`Publication`]):
            Commit message, token and other options.

    Returns:
        `str`: URL of the commit or pull request.
    """

    files = files_to_publish(folder)
    if not any(name.startswith("generator/model") and name.endswith(".safetensors") for name in files):
        raise ValueError(
            f"{folder}/generator has no weights to publish: `model.safetensors`, or a variant among {VARIANTS}."
        )

    def upload() -> str:
        stays = _has_card(repo_id, publication.token, of_its_own=not publication.keep_card)
        commit = upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=[name for name in files if not (stays and name == CARD_FILE)],
            commit_message=publication.commit_message or "Upload DCGAN",
            token=publication.token,
            create_pr=publication.create_pr,
        )
        return commit.pr_url or commit.commit_url

    return persistently(upload, repo_id)


def persistently(function: Callable[[], Any], repo_id: str) -> Any:
    """Calls a function that accesses the Hub, and retries it after transient errors."""
    for wait in _WAITS:
        try:
            return function()
        except HTTPError as error:
            if not _may_pass(error):
                raise
            wait = max(wait, _retry_after(error))
            logger.warning(f"Publishing to {repo_id} failed; retrying in {wait} s: {_reason(error)}")
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
    """Returns whether an error is transient: no response, too many requests, a concurrent commit, a server error."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 409, 412, 429) or error.response.status_code >= 500
    return isinstance(error, HTTPError)


def _retry_after(error: BaseException) -> int:
    """Returns the seconds that the Hub asks to wait, at most 300."""
    header = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return min(int(header), 300) if header.isdecimal() else 0


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no response"
    if isinstance(error, HfHubHTTPError):
        response = f"{error.response.status_code} {error.response.reason_phrase}"
        said_already = (None, "", error.response.reason_phrase)
        return response if error.server_message in said_already else f"{response}: {error.server_message}"
    if isinstance(error, RuntimeError) and error.__cause__ is not None:  # raised by the client when an upload fails
        return f"{error} {_reason(error.__cause__)}"
    return f"{type(error).__name__}: {str(error).strip() or 'no message'}".splitlines()[0]


def publish_pipeline(
    pipe: DiffusionPipeline, folder: Path, repo_id: str, publication: Publication | None = None
) -> str:
    r"""
    Publishes a saved pipeline with its model card and example images.

    Args:
        pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
            The pipeline.
        folder (`Path`):
            Folder that the pipeline was saved to.
        repo_id (`str`):
            Repository, created if it does not exist. The namespace defaults to the user.
        publication ([`Publication`], *optional*):
            Commit message, token, license and other options.

    Returns:
        `str`: URL of the commit or pull request.
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
    Publishes the model of a run in a thread, at the end and optionally during training. Errors after the start of
    training do not stop the run: they are logged, with the command that publishes the model later.

    Args:
        output_dir (`Path`):
            Folder of the run.
        repo_id (`str`):
            Repository, created if it does not exist.
        private (`bool`):
            Whether a new repository is private.
        license (`str`, *optional*):
            License of the model.

    Raises:
        ValueError: if no user is logged in, or if the Hub refuses the user, repository name or license. (If the Hub
            cannot be reached, training starts anyway.)
    """

    def __init__(self, output_dir: Path, repo_id: str, private: bool, license: str | None):
        self.output_dir = output_dir
        self.repo_id = repo_id
        self.private = private or None  # None: the setting of the organization
        self._upload: Future | None = None
        if get_token() is None:
            raise ValueError("`push_to_hub` needs a token: log in with `hf auth login`, or set HF_TOKEN.")
        try:
            self.repo_id = _in_thread(self._prepare, license).result(_PATIENCE_AT_START)
        except Exception as error:  # a network can fail in any way
            if isinstance(error, ValueError) or (isinstance(error, HfHubHTTPError) and not _may_pass(error)):
                raise ValueError(f"`push_to_hub` to {repo_id!r} is refused: {_reason(error)}") from None
            logger.warning(f"The Hub cannot be reached; training starts anyway: {_reason(error)}")

    def _prepare(self, license: str | None) -> str:
        ModelCard(f"---\n{ModelCardData(license=license)}\n---\n").validate()
        return create_repo(self.repo_id, private=self.private, exist_ok=True).repo_id

    def publish_in_background(self, pipe: DiffusionPipeline, files: list[Path], step: int) -> None:
        r"""
        Publishes the current model in the background. Skipped while an earlier upload is running.

        Args:
            pipe ([`DCGANPipeline`] or [`DCGANSuperResolutionPipeline`]):
                The model.
            files (`list[Path]`):
                Files in the output folder that belong to the model card.
            step (`int`):
                Current training step.
        """
        if self._upload is not None and not self._upload.done():
            logger.info(f"Step {step} is not published: an earlier upload is still running.")
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
        except Exception as error:  # no error here may stop the run
            logger.warning(f"Step {step} is not published: {_reason(error)}")
        finally:
            shutil.rmtree(folder)

    def finish(self, pipe: DiffusionPipeline, step: int) -> None:
        """Waits for a running upload, then publishes the output folder, which contains the saved pipeline."""
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
