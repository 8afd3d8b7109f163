"""Storage and rules of a small Hugging Face Hub, without HTTP: commits, permissions, large files, cards.

Answers about a repository have the format of the Hub's API.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import yaml


LFS_SUFFIXES = (".bin", ".gif", ".jpg", ".onnx", ".parquet", ".png", ".pt", ".safetensors", ".webp", ".zip")
LFS_SIZE = 10 * 2**20
ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()
SPACE_PAGE = """---
title: {name}
sdk: {sdk}
app_file: app.py
---

Check out the configuration reference at https://huggingface.co/docs/hub/spaces-config-reference
"""

CARD = re.compile(r"\s*---[\r\n]+(.*?)[\r\n]+---(?:\r?\n|$)", re.DOTALL)
IMAGE_TASKS = {
    "image-classification",
    "image-feature-extraction",
    "image-to-image",
    "text-to-image",
    "unconditional-image-generation",
}


@dataclass(eq=False)
class Refusal(Exception):
    """Refusal of the Hub. The client chooses the class of its exception by `status` and `code`."""

    status: int
    message: str
    code: str = ""
    commit: str = ""
    url: str = ""


@dataclass(frozen=True)
class Blob:
    data: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        size = len(self.data)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {size}\n".encode()

    @cached_property
    def oid(self) -> str:
        content = self.pointer if self.lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid

    def describe(self, path: str) -> dict[str, Any]:
        lfs = {"oid": self.sha256, "sha256": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        file = {"type": "file", "path": path, "size": len(self.data), "oid": self.oid, "blobId": self.oid}
        return file | ({"lfs": lfs} if self.lfs else {})


def describe_folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest()}


@dataclass(frozen=True)
class Commit:
    title: str
    message: str
    author: str
    files: dict[str, Blob]
    parent: "Commit | None" = None
    sha: str = field(default_factory=lambda: secrets.token_hex(20))
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))

    def history(self) -> "list[Commit]":
        return [self, *(self.parent.history() if self.parent else [])]


def logged_in(user: str | None, code: str = "") -> str:
    if user is None:
        raise Refusal(401, "Invalid username or password.", code)
    return user


@dataclass
class Repository:
    """Repository. `objects` are all uploaded large files, whether or not a commit contains them."""

    key: str
    url: str
    private: bool
    refs: dict[str, Commit]
    objects: dict[str, Blob] = field(default_factory=dict)

    def find(self, revision: str) -> Commit:
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return self.refs[ref]
        for commit in (commit for tip in self.refs.values() for commit in tip.history()):
            if commit.sha == revision:
                return commit
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def check_writer(self, user: str | None, pull_request: bool = False) -> str:
        """Returns the user's name. Any logged-in user may open a pull request."""
        name = logged_in(user, "RepoNotFound")
        if not pull_request and name != self.key.split("/")[-2]:
            raise Refusal(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
        return name

    def info(self, revision: str, with_blobs: bool) -> dict[str, Any]:
        commit = self.find(revision)
        card = card_metadata(commit.files["README.md"].data.decode()) if "README.md" in commit.files else {}
        known = {key: card[key] for key in ("library_name", "pipeline_tag") if key in card}
        siblings = [
            {"rfilename": path} | (blob.describe(path) if with_blobs else {})
            for path, blob in sorted(commit.files.items())
        ]
        info = {"id": "/".join(self.key.split("/")[-2:]), "sha": commit.sha, "private": self.private}
        tags = [*known.values(), *card.get("tags", [])]
        return info | {"lastModified": commit.date, "tags": tags, "cardData": card, "siblings": siblings} | known

    def tree(self, revision: str, folder: str, recursive: bool) -> list[dict[str, Any]]:
        prefix = f"{folder}/" if folder else ""
        files = self.find(revision).files
        found = {path: blob.describe(path) for path, blob in files.items() if path.startswith(prefix)}
        if prefix and not found:
            raise Refusal(404, f"{prefix} does not exist", "EntryNotFound")
        parents = {str(parent) for path in found for parent in PurePosixPath(path).parents} - {"."}
        found |= {path: describe_folder(path) for path in parents if path.startswith(prefix)}
        return [found[path] for path in sorted(found) if recursive or "/" not in path.removeprefix(prefix)]

    def paths_info(self, revision: str, paths: list[str]) -> list[dict[str, Any]]:
        files = self.find(revision).files
        folders = [path for path in paths if any(name.startswith(f"{path}/") for name in files)]
        return [files[path].describe(path) for path in paths if path in files] + [*map(describe_folder, folders)]

    def commits(self, revision: str) -> list[dict[str, Any]]:
        return [
            {"id": c.sha, "title": c.title, "message": c.message, "date": c.date, "authors": [{"user": c.author}]}
            for c in self.find(revision).history()
        ]

    def branches_and_tags(self) -> dict[str, list[dict[str, str]]]:
        found: dict[str, list[dict[str, str]]] = {"heads": [], "tags": [], "pr": []}
        for ref, commit in self.refs.items():
            _, kind, name = ref.split("/", 2)
            found[kind].append({"name": name, "ref": ref, "targetCommit": commit.sha})
        return {"branches": found["heads"], "tags": found["tags"], "pullRequests": found["pr"], "converts": []}

    def add_ref(self, ref: str, start: str) -> None:
        if ref in self.refs:
            raise Refusal(409, f"Reference already exists: {ref}")
        self.refs[ref] = self.find(start)

    def preupload(self, revision: str, files: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns the upload mode of each file, and the hashes of existing files."""
        present = self.find(revision).files
        answers = []
        for file in files:
            is_binary = b"\0" in base64.b64decode(file["sample"])
            is_lfs = file["path"].endswith(LFS_SUFFIXES) or is_binary or file["size"] > LFS_SIZE
            known = {"oid": present[file["path"]].etag} if file["path"] in present else {}
            mode = "lfs" if is_lfs else "regular"
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False} | known)
        return {"files": answers}

    def lfs_batch(self, wanted: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns the upload addresses of missing objects."""
        objects = []
        for file in wanted:
            href = f"{self.url}/lfs-objects/{file['oid']}"
            actions = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            objects.append(file if file["oid"] in self.objects else file | {"actions": actions})
        return {"transfer": "basic", "objects": objects}

    def put_object(self, oid: str, data: bytes) -> None:
        blob = Blob(data, lfs=True)
        if blob.sha256 != oid:
            raise Refusal(400, "The content does not match the announced SHA-256")
        self.objects[oid] = blob

    def find_object(self, oid: str) -> Blob:
        if oid not in self.objects:
            raise Refusal(404, f"The object {oid} was not uploaded")
        return self.objects[oid]

    def commit(self, revision: str, lines: list[dict[str, Any]], author: str, pull_request: bool) -> dict[str, Any]:
        header, *operations = lines
        title, message = header["value"]["summary"], header["value"]["description"]
        parent = self.find(revision)
        if not parent.sha.startswith(header["value"].get("parentCommit", "")):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = dict(parent.files)
        for operation in operations:
            key, value, path = operation["key"], operation["value"], operation["value"]["path"]
            if key == "file":
                files[path] = Blob(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                files[path] = self.find_object(value["oid"])
            else:
                folder = f"{path.rstrip('/')}/"
                gone = [
                    name for name in files if (name.startswith(folder) if key == "deletedFolder" else name == path)
                ]
                if not gone:
                    raise Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
                for name in gone:
                    del files[name]
        number = 1 + sum(name.startswith("refs/pr/") for name in self.refs)
        ref = revision if revision.startswith("refs/pr/") else f"refs/heads/{revision}"
        ref = f"refs/pr/{number}" if pull_request else ref
        commit = self.refs[ref] = Commit(title, message, author, files, parent)
        urls = {"commitUrl": f"{self.url}/commit/{commit.sha}", "pullRequestUrl": f"{self.url}/discussions/{number}"}
        return {"success": True, "commitOid": commit.sha} | urls


class Repositories(dict[str, Repository]):
    """Repositories by key: "org/name" for models, otherwise "datasets/org/name" and "spaces/org/name"."""

    def find(self, key: str, user: str | None) -> Repository:
        repository = self.get(key)
        if repository is None or (repository.private and user != key.split("/")[-2]):
            logged_in(user, "RepoNotFound")
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return repository

    def create(self, key: str, user: str | None, private: bool, url: str, sdk: str | None = None) -> None:
        name, namespace = logged_in(user), key.split("/")[-2]
        kind = {"datasets": "dataset", "spaces": "space"}.get(key.split("/")[0], "model")
        if name != namespace:
            raise Refusal(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
        if key in self:
            raise Refusal(409, f"You already created this {kind} repo", url=url)
        files = {".gitattributes": Blob(ATTRIBUTES)}
        if kind == "space":
            if sdk is None:
                raise Refusal(400, 'A Space needs an "sdk"')
            files["README.md"] = Blob(SPACE_PAGE.format(name=key.split("/")[-1], sdk=sdk).encode())
        start = Commit("initial commit", "", name, files)
        self[key] = Repository(key, url, private, {"refs/heads/main": start})


def card_metadata(text: str) -> dict[str, Any]:
    """Returns the content of a card's YAML block."""
    match = CARD.match(text)
    return yaml.safe_load(match[1]) if match else {}


def check_card(text: str) -> dict[str, list[dict[str, str]]]:
    """Returns errors and warnings about a card's metadata: a subset of those of the Hub."""
    metadata = card_metadata(text)
    errors, warnings = [], [] if metadata else ["empty or missing yaml metadata in repo card"]
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", str(metadata.get("license", "other"))):
        errors.append(f'"license" must be an identifier such as "apache-2.0", got {metadata["license"]!r}')
    for key in ("tags", "language", "metrics", "datasets", "base_model"):
        values = metadata.get(key, [])
        values = [values] if isinstance(values, str) and key != "tags" else values
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            errors.append(f'"{key}" must be an array of strings, got {values!r}')
        elif key in ("datasets", "base_model") and not all(re.fullmatch(r"([\w.-]+/)?[\w.-]+", v) for v in values):
            errors.append(f'"{key}" must hold ids of repositories, got {values!r}')
    for entry in metadata.get("model-index") or []:
        if not isinstance(entry, dict) or not {"name", "results"} <= entry.keys():
            errors.append(f'"model-index" must hold "name" and "results", got {entry!r}')
    if (task := metadata.get("pipeline_tag")) not in (None, *IMAGE_TASKS):
        warnings.append(f'The pipeline tag "{task}" is not in the official list')
    return {"errors": [{"message": e} for e in errors], "warnings": [{"message": w} for w in warnings]}
