"""A small Hugging Face Hub on this machine: what the real `huggingface_hub` client needs of one, and faults on demand.

Imports no Hugging Face library, because its address must be in `HF_ENDPOINT` before any of them is imported.
"""

import base64
import hashlib
import json
import re
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from weakref import WeakSet

import yaml


LFS_SUFFIXES = (".bin", ".gif", ".jpg", ".onnx", ".parquet", ".png", ".pt", ".safetensors", ".webp", ".zip")
LFS_SIZE = 10 * 2**20
ATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()

REPO = "([^/]+(?:/[^/]+)?)"
REPO_API = re.compile(f"/api/(models|datasets)/{REPO}(?:/([a-z-]+)(?:/([^/]+)(?:/(.+))?)?)?")
RESOLVE = re.compile(f"/(datasets/)?{REPO}/resolve/([^/]+)/(.+)")
LFS_BATCH = re.compile(rf"/(datasets/)?{REPO}\.git/info/lfs/objects/batch")
LFS_OBJECT = re.compile(f"/(datasets/)?{REPO}/lfs-objects/([0-9a-f]{{64}})(/verify)?")

CARD = re.compile(r"\s*---[\r\n]+(.*?)[\r\n]+---(?:\r?\n|$)", re.DOTALL)
IMAGE_TASKS = {"image-classification", "image-feature-extraction", "text-to-image", "unconditional-image-generation"}


class User(NamedTuple):
    name: str
    orgs: tuple[str, ...]
    role: str

    def belongs_to(self, namespace: str) -> bool:
        return namespace in (self.name, *self.orgs)


class Recorded(NamedTuple):
    """A request in the log. Header names are in lower case; `length` is that of the body as far as it was read."""

    method: str
    path: str
    headers: dict[str, str]
    length: int


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    body = json.dumps(content, default=str).encode()
    return Reply(status, {"Content-Type": "application/json"} | (headers or {}), body)


class Refusal(Exception):
    """An answer that is an error. The client chooses its exception's class by `code`."""

    def __init__(self, status: int, message: str, code: str | None = None, commit: str | None = None, **content: str):
        super().__init__(message)
        headers = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit}
        given = {name: value for name, value in headers.items() if value}
        self.reply = answer({"error": message} | content, status, given)


@dataclass(frozen=True)
class Blob:
    data: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
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


@dataclass
class Repo:
    id: str
    url: str
    private: bool
    refs: dict[str, Commit]
    objects: dict[str, bytes] = field(default_factory=dict)

    def find(self, revision: str) -> Commit:
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return self.refs[ref]
        for commit in (commit for tip in self.refs.values() for commit in tip.history()):
            if commit.sha == revision:
                return commit
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


@dataclass
class Request:
    """A call, with what it is about."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    user: User | None
    repo: Repo = field(init=False)
    revision: str = "main"
    subpath: str = ""

    def json(self) -> dict[str, Any]:
        return json.loads(self.body or b"{}")

    def has(self, flag: str) -> bool:
        return self.query.get(flag, [""])[0].lower() in ("1", "true")


@dataclass
class Fault:
    pattern: str = ""
    reply: Reply | None = None
    times: int | None = None
    delay: float = 0.0
    cut_after: int | None = None
    cut_reply: int | None = None


class HubServer:
    """
    The server. Model repositories go by their id ("org/name"), those of data sets by "datasets/org/name".

    As on the real Hub, a new repository has one commit, which holds `.gitattributes`.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.reset()
        self._listen(0)

    def __enter__(self) -> "HubServer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _listen(self, port: int) -> None:
        self._listener = Listener(self, port)
        self.port = self._listener.server_port
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        for connection in list(self._listener.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Refuses connections, and ends those there are."""
        self.close()
        with socket.socket() as reserved:  # Nobody else gets the port meanwhile.
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind(("127.0.0.1", self.port))
            try:
                yield
            finally:
                self._listen(self.port)

    def reset(self) -> None:
        """Forgets everything but the users."""
        with self.lock:
            self._repos: dict[str, Repo] = {}
            self._faults: list[Fault] = []
            self.requests: list[Recorded] = []

    def add_user(self, name: str, token: str, orgs: Iterable[str] = (), role: str = "write") -> None:
        """`role` is the token's: "write" or "read"."""
        self.users[token] = User(name, tuple(orgs), role)

    @property
    def repos(self) -> list[str]:
        return list(self._repos)

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        return {path: blob.data for path, blob in self._repos[repo_id].find(revision).files.items()}

    def commits(self, repo_id: str, revision: str = "main") -> list[tuple[str, str]]:
        """Titles and hashes, from the newest."""
        return [(commit.title, commit.sha) for commit in self._repos[repo_id].find(revision).history()]

    def is_private(self, repo_id: str) -> bool:
        return self._repos[repo_id].private

    # Faults

    def fail(
        self,
        match: str,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        body: str | None = None,
        times: int | None = 1,
        delay: float = 0.0,
        cut_after: int | None = None,
        cut_reply: int | None = None,
    ) -> None:
        """
        Makes the next `times` requests (None: all) in whose "METHOD /path?query" the pattern `match` is found go wrong.

        They are answered late (`delay`) or refused (`status`); or their connection is reset after so many bytes of
        their body, and they are forgotten (`cut_after`); or they are carried out, but the connection ends after so
        many bytes of the answer's body (`cut_reply`).
        """
        reply = None
        if status is not None:
            # With a 401 the client looks for this text: it takes others for a missing repository.
            message = "Invalid credentials in Authorization header" if status == 401 else HTTPStatus(status).phrase
            reply = answer({"error": message}, status, {"X-Error-Message": message} | (headers or {}))
            reply = reply if body is None else reply._replace(body=body.encode())
        with self.lock:
            self._faults.append(Fault(match, reply, times, delay, cut_after, cut_reply))

    def heal(self) -> None:
        with self.lock:
            self._faults.clear()

    def take_fault(self, request_line: str) -> Fault:
        with self.lock:
            fault = next((fault for fault in self._faults if re.search(fault.pattern, request_line)), Fault())
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
            return fault

    # Requests

    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        url = urlsplit(target)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        try:
            with self.lock:
                if token and token not in self.users:
                    raise Refusal(401, "Invalid credentials in Authorization header")
                return self._route(Request(method, url.path, parse_qs(url.query), body, self.users.get(token)))
        except Refusal as refusal:
            return refusal.reply

    def _route(self, request: Request) -> Reply:
        calls = {
            "GET /api/whoami-v2": self._whoami,
            "POST /api/validate-yaml": self._validate_card,
            "POST /api/repos/create": self._create_repo,
            "DELETE /api/repos/delete": self._delete_repo,
            "GET info": self._info,
            "GET revision": self._info,
            "GET tree": self._tree,
            "POST paths-info": self._paths_info,
            "GET commits": self._commits,
            "GET refs": self._refs,
            "POST branch": self._create_ref,
            "POST tag": self._create_ref,
            "DELETE branch": self._delete_ref,
            "DELETE tag": self._delete_ref,
            "PUT settings": self._settings,
            "POST preupload": self._preupload,
            "POST commit": self._commit,
        }
        name = request.path
        if match := REPO_API.fullmatch(request.path):
            name = match[3] or "info"
            request.repo = self._readable(request, match[2] if match[1] == "models" else f"datasets/{match[2]}")
            request.revision, request.subpath = unquote(match[4] or "main"), unquote(match[5] or "")
        if call := calls.get(f"{request.method} {name}"):
            return call(request)
        if match := RESOLVE.fullmatch(request.path):
            request.repo = self._readable(request, f"{match[1] or ''}{match[2]}")
            return self._resolve(request.repo.find(unquote(match[3])), unquote(match[4]))
        if match := LFS_BATCH.fullmatch(request.path):
            request.repo = self._readable(request, f"{match[1] or ''}{match[2]}")
            return self._lfs_batch(request)
        # Asks for no token: the real address is a signed one, of a storage service.
        if (match := LFS_OBJECT.fullmatch(request.path)) and (repo := self._repos.get(f"{match[1] or ''}{match[2]}")):
            return (self._lfs_verify if match[4] else self._lfs_put)(request, repo.objects, match[3])
        if request.path.startswith("/api/telemetry/"):
            return answer({})
        raise Refusal(404, "Sorry, we can't find the page you are looking for.")

    def _readable(self, request: Request, name: str) -> Repo:
        repo, user = self._repos.get(name), request.user
        if repo is None or (repo.private and not (user and user.belongs_to(repo.id.split("/")[0]))):
            if user is None:
                raise Refusal(401, "Invalid username or password.", "RepoNotFound")
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return repo

    def _logged_in(self, request: Request) -> User:
        if request.user is None:
            raise Refusal(
                401, "Invalid username or password.", "RepoNotFound" if REPO_API.match(request.path) else None
            )
        return request.user

    def _check_rights(self, request: Request, namespace: str, complaint: str) -> User:
        user = self._logged_in(request)
        if not user.belongs_to(namespace):
            raise Refusal(403, complaint)
        if user.role != "write":
            raise Refusal(403, "Forbidden: you must use a write token to upload to a repository.")
        return user

    def _check_writable(self, request: Request) -> str:
        if request.has("create_pr"):
            return self._logged_in(request).name
        complaint = "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
        return self._check_rights(request, request.repo.id.split("/")[0], complaint).name

    def _whoami(self, request: Request) -> Reply:
        name, orgs, role = self._logged_in(request)
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": role}}
        orgs_info = [{"type": "org", "name": org, "roleInOrg": "write"} for org in orgs]
        return answer({"type": "user", "id": name, "name": name, "fullname": name, "orgs": orgs_info, "auth": auth})

    def _validate_card(self, request: Request) -> Reply:
        errors, warnings = check_card(request.json()["content"])
        content = {"errors": [{"message": e} for e in errors], "warnings": [{"message": w} for w in warnings]}
        return answer(content, 400 if errors else 200)

    # Repositories

    def _create_repo(self, request: Request) -> Reply:
        content, (key, user) = request.json(), self._named(request, "create")
        url = f"{self.endpoint}/{key}"
        if key in self._repos:
            raise Refusal(409, f"You already created this {content.get('type') or 'model'} repo", url=url)
        private = content.get("visibility") == "private" or bool(content.get("private"))
        start = Commit("initial commit", "", user.name, {".gitattributes": Blob(ATTRIBUTES)})
        self._repos[key] = Repo(key.removeprefix("datasets/"), url, private, {"refs/heads/main": start})
        return answer({"url": url, "name": self._repos[key].id})

    def _delete_repo(self, request: Request) -> Reply:
        key, _ = self._named(request, "delete")
        if self._repos.pop(key, None) is None:
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return answer({})

    def _named(self, request: Request, verb: str) -> tuple[str, User]:
        content = request.json()
        kind = content.get("type") or "model"
        namespace = content.get("organization") or (request.user.name if request.user else "")
        complaint = f'You don\'t have the rights to {verb} a {kind} under the namespace "{namespace}"'
        user = self._check_rights(request, namespace, complaint)
        return f"{'datasets/' if kind == 'dataset' else ''}{namespace}/{content['name']}", user

    def _settings(self, request: Request) -> Reply:
        self._check_writable(request)
        content = request.json()
        request.repo.private = bool(content.get("private", content.get("visibility") == "private"))
        return answer({"private": request.repo.private})

    def _info(self, request: Request) -> Reply:
        repo, commit = request.repo, request.repo.find(request.revision)
        readme = commit.files.get("README.md", Blob(b"")).data.decode()
        card = metadata if isinstance(metadata := card_metadata(readme), dict) else {}
        known = {key: card[key] for key in ("library_name", "pipeline_tag") if key in card}
        shown = ("size", "blobId", "lfs") if request.has("blobs") else ()
        siblings = [
            {"rfilename": path} | {key: value for key, value in blob.describe(path).items() if key in shown}
            for path, blob in sorted(commit.files.items())
        ]
        tags = [*known.values(), *(card.get("tags") or [])]
        info: dict[str, Any] = {
            "id": repo.id,
            "author": repo.id.split("/")[0],
            "sha": commit.sha,
            "lastModified": commit.date,
        }
        info |= {"createdAt": commit.history()[-1].date, "private": repo.private, "gated": False, "disabled": False}
        return answer(
            info | {"tags": tags, "cardData": card, "siblings": siblings, "downloads": 0, "likes": 0} | known
        )

    def _tree(self, request: Request) -> Reply:
        prefix = f"{request.subpath}/" if request.subpath else ""
        files = request.repo.find(request.revision).files
        found = {path: blob.describe(path) for path, blob in files.items() if path.startswith(prefix)}
        if prefix and not found:
            raise Refusal(404, f"{prefix} does not exist", "EntryNotFound")
        parents = {str(parent) for path in found for parent in PurePosixPath(path).parents} - {"."}
        found |= {path: directory(path) for path in parents if path.startswith(prefix)}
        shown = [path for path in found if request.has("recursive") or "/" not in path.removeprefix(prefix)]
        return answer([found[path] for path in sorted(shown)])

    def _paths_info(self, request: Request) -> Reply:
        files = request.repo.find(request.revision).files
        paths = parse_qs(request.body.decode()).get("paths", [])
        found = [files[path].describe(path) for path in paths if path in files]
        return answer(found + [directory(p) for p in paths if any(name.startswith(f"{p}/") for name in files)])

    def _commits(self, request: Request) -> Reply:
        commits = request.repo.find(request.revision).history()
        texts = [{"id": c.sha, "title": c.title, "message": c.message, "date": c.date} for c in commits]
        return answer([text | {"authors": [{"user": c.author}]} for text, c in zip(texts, commits)])

    def _refs(self, request: Request) -> Reply:
        refs: dict[str, list[dict[str, str]]] = {"heads": [], "tags": [], "pr": []}
        for ref, commit in request.repo.refs.items():
            _, kind, name = ref.split("/", 2)
            refs[kind].append({"name": name, "ref": ref, "targetCommit": commit.sha})
        return answer({"branches": refs["heads"], "tags": refs["tags"], "pullRequests": refs["pr"], "converts": []})

    def _create_ref(self, request: Request) -> Reply:
        self._check_writable(request)
        content = request.json()
        ref, start = f"refs/heads/{request.revision}", content.get("startingPoint") or "main"
        if "tag" in content:
            ref, start = f"refs/tags/{content['tag']}", request.revision
        elif request.revision.startswith("refs/"):
            raise Refusal(400, f"Invalid reference for a branch: {request.revision}")
        if ref in request.repo.refs:
            raise Refusal(409, f"Reference already exists: {ref}")
        request.repo.refs[ref] = request.repo.find(start)
        return answer({})

    def _delete_ref(self, request: Request) -> Reply:
        self._check_writable(request)
        ref = f"refs/{'tags' if '/tag/' in request.path else 'heads'}/{request.revision}"
        if ref == "refs/heads/main":
            raise Refusal(403, "Cannot delete the main branch")
        if request.repo.refs.pop(ref, None) is None:
            raise Refusal(404, f"Reference does not exist: {ref}", "RevisionNotFound")
        return answer({})

    # Downloads and uploads

    def _resolve(self, commit: Commit, path: str) -> Reply:
        if path not in commit.files:
            raise Refusal(404, "Entry not found", "EntryNotFound", commit.sha)
        blob = commit.files[path]
        headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes"}
        linked = {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.data))}
        return Reply(200, headers | (linked if blob.lfs else {}), blob.data)

    def _preupload(self, request: Request) -> Reply:
        self._check_writable(request)
        present = request.repo.find(request.revision).files
        files = []
        for file in request.json()["files"]:
            is_binary = b"\0" in base64.b64decode(file["sample"])
            is_lfs = file["path"].endswith(LFS_SUFFIXES) or is_binary or file["size"] > LFS_SIZE
            known = {"oid": present[file["path"]].etag} if file["path"] in present else {}
            mode = "lfs" if is_lfs else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False} | known)
        return answer({"files": files})

    def _lfs_batch(self, request: Request) -> Reply:
        content = request.json()
        self._logged_in(request)
        if "ref" in content:  # Without, it is for a pull request, which all may make.
            self._check_writable(request)
        objects = []
        for wanted in content["objects"]:
            href = f"{request.repo.url}/lfs-objects/{wanted['oid']}"
            actions = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            missing = wanted["oid"] not in request.repo.objects
            objects.append({"oid": wanted["oid"], "size": wanted["size"]} | ({"actions": actions} if missing else {}))
        return answer({"transfer": "basic", "objects": objects})

    def _lfs_put(self, request: Request, objects: dict[str, bytes], oid: str) -> Reply:
        if hashlib.sha256(request.body).hexdigest() != oid:
            raise Refusal(400, "The content does not match the announced SHA-256")
        objects[oid] = request.body
        return answer({})

    def _lfs_verify(self, request: Request, objects: dict[str, bytes], oid: str) -> Reply:
        if oid not in objects or len(objects[oid]) != request.json()["size"]:
            raise Refusal(404, f"The object {oid} was not uploaded")
        return answer({})

    def _commit(self, request: Request) -> Reply:
        repo, author = request.repo, self._check_writable(request)
        header, *operations = [json.loads(line) for line in request.body.splitlines()]
        title, message = header["value"]["summary"], header["value"].get("description", "")
        parent = repo.find(request.revision)
        if not parent.sha.startswith(header["value"].get("parentCommit", "")):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        ref = request.revision if request.revision.startswith("refs/pr/") else f"refs/heads/{request.revision}"
        number = 1 + sum(name.startswith("refs/pr/") for name in repo.refs)
        if request.has("create_pr"):
            ref = f"refs/pr/{number}"
        elif ref not in repo.refs:
            raise Refusal(404, f"Invalid rev id: {request.revision}", "RevisionNotFound")
        files = dict(parent.files)
        for operation in operations:
            apply_operation(files, repo.objects, operation["key"], **operation["value"])
        commit = repo.refs[ref] = Commit(title, message, author, files, parent)
        urls = {"commitUrl": f"{repo.url}/commit/{commit.sha}", "pullRequestUrl": f"{repo.url}/discussions/{number}"}
        return answer({"success": True, "commitOid": commit.sha} | urls)


class Listener(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, hub: HubServer, port: int):
        super().__init__(("127.0.0.1", port), Handler)
        self.hub = hub
        self.connections: WeakSet[socket.socket] = WeakSet()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # Clients may go away.
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def serve(self) -> None:
        hub = self.server.hub
        fault = hub.take_fault(f"{self.command} {self.path}")
        body = self.read_body(fault.cut_after)
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append(Recorded(self.command, self.path, headers, len(body)))
        time.sleep(fault.delay)
        if fault.cut_after is not None:
            return self.reset_connection()
        reply = fault.reply or part(hub.respond(self.command, self.path, headers, body), headers.get("range"))
        self.send(reply, fault.cut_reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

    def read_body(self, limit: int | None) -> bytes:
        """All of the body, since a client may not listen before it has sent it; or no more than `limit` bytes."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length", 0))
            return self.read(length if limit is None else min(length, limit))
        body, size = b"", 1
        while size and (limit is None or len(body) < limit):
            size = int(self.rfile.readline().split(b";")[0] or b"0", 16)
            body += self.read(size + 2)[:size]
        return body[:limit]

    def read(self, size: int) -> bytes:
        content = self.rfile.read(size)
        if len(content) < size:
            raise ConnectionResetError("The client went away in the middle of a request")
        return content

    def send(self, reply: Reply, limit: int | None) -> None:
        self.send_response(reply.status)
        headers = reply.headers | {"Content-Length": str(len(reply.body)), "X-Request-Id": secrets.token_hex(8)}
        for name, value in headers.items():
            self.send_header(name, value.encode("ascii", "backslashreplace").decode())
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[:limit])
        self.close_connection |= limit is not None

    def reset_connection(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()

    def log_message(self, *_: object) -> None:
        pass


def apply_operation(
    files: dict[str, Blob], objects: dict[str, bytes], key: str, path: str, content: str = "", oid: str = "", **_: Any
) -> None:
    """Applies one line of a commit to `files`."""
    if key == "file":
        files[path] = Blob(base64.b64decode(content))
    elif key == "lfsFile":
        if oid not in objects:
            raise Refusal(400, f"The object {oid} of {path} was not uploaded")
        files[path] = Blob(objects[oid], lfs=True)
    else:
        folder = f"{path.rstrip('/')}/"
        gone = [name for name in files if (name.startswith(folder) if key == "deletedFolder" else name == path)]
        if not gone:
            raise Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
        for name in gone:
            del files[name]


def part(reply: Reply, wanted: str | None) -> Reply:
    """The part of a file that a `Range` header asks for."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if match is None or "Accept-Ranges" not in reply.headers:
        return reply
    size = len(reply.body)
    start = int(match[1]) if match[1] else max(0, size - int(match[2]))
    end = min(int(match[2]), size - 1) if match[1] and match[2] else size - 1
    if start >= size:
        return Reply(416, reply.headers | {"Content-Range": f"bytes */{size}"}, b"")
    return Reply(206, reply.headers | {"Content-Range": f"bytes {start}-{end}/{size}"}, reply.body[start : end + 1])


def directory(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


def card_metadata(text: str) -> Any:
    """What a card's YAML block holds; None if there is none or it cannot be read."""
    match = CARD.match(text)
    try:
        return yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:
        return None


def check_card(text: str) -> tuple[list[str], list[str]]:
    """Errors and warnings about a card's metadata: a few of those that the Hub finds."""
    metadata = card_metadata(text)
    if CARD.match(text) is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(metadata, dict):
        return ["The metadata is not a YAML mapping"], []
    errors = []
    if "license" in metadata and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", str(metadata["license"])):
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
    task = metadata.get("pipeline_tag")
    return errors, [] if task in (None, *IMAGE_TASKS) else [f'The pipeline tag "{task}" is not in the official list']
