"""A small local Hugging Face Hub for the real `huggingface_hub` client, with faults on demand.

Imports no Hugging Face library, because its address must be in `HF_ENDPOINT` before any of them is imported.
"""

import json
import re
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from weakref import WeakSet

from .hub_repositories import Commit, Refusal, Repositories, Repository, check_card, logged_in


KEY = "((?:datasets/|spaces/)?[^/]+(?:/[^/]+)?)"
REPOSITORY = re.compile(f"/api/(?:models/|(?=datasets/|spaces/)){KEY}(?:/([a-z-]+)(?:/([^/]+)(?:/(.+))?)?)?")
RESOLVE = re.compile(f"/{KEY}/resolve/([^/]+)/(.+)")
LFS_BATCH = re.compile(rf"/{KEY}\.git/info/lfs/objects/batch")
LFS_OBJECT = re.compile(f"/{KEY}/lfs-objects/([0-9a-f]{{64}})(/verify)?")


class Recorded(NamedTuple):
    """Logged request. Header names are in lower case; `length` is the number of bytes read from the body."""

    method: str
    path: str
    headers: dict[str, str]
    length: int


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    user: str | None

    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    def has(self, flag: str) -> bool:
        return self.query.get(flag, [""])[0] in ("1", "true")


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    body = json.dumps(content, default=str).encode()
    return Reply(status, {"Content-Type": "application/json"} | (headers or {}), body)


def refuse(refusal: Refusal) -> Reply:
    headers = {"X-Error-Message": refusal.message, "X-Error-Code": refusal.code, "X-Repo-Commit": refusal.commit}
    given = {name: value for name, value in headers.items() if value}
    return answer({"error": refusal.message, "url": refusal.url}, refusal.status, given)


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
    HTTP server of the Hub. Keys of repositories are "org/name" for models, "datasets/org/name" and "spaces/org/name".

    As on the real Hub, a new repository has one commit with `.gitattributes` and, for a Space, a README.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users: dict[str, str] = {}
        self.reset()
        self._listen(0)

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
        """Context manager that closes all connections and refuses new ones."""
        self.close()
        with socket.socket() as reserved:  # Keeps the port for this server.
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind(("127.0.0.1", self.port))
            try:
                yield
            finally:
                self._listen(self.port)

    def reset(self) -> None:
        """Deletes everything except the users."""
        with self.lock:
            self._repositories = Repositories()
            self._faults: list[Fault] = []
            self.hardware: dict[str, str | None] = {}
            self.requests: list[Recorded] = []

    def add_user(self, name: str, token: str) -> None:
        self.users[token] = name

    @property
    def repos(self) -> list[str]:
        return list(self._repositories)

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        return {path: blob.data for path, blob in self._repositories[repo_id].find(revision).files.items()}

    def commits(self, repo_id: str, revision: str = "main") -> list[tuple[str, str]]:
        """Returns titles and hashes of the commits, newest first."""
        return [(commit.title, commit.sha) for commit in self._repositories[repo_id].find(revision).history()]

    def is_private(self, repo_id: str) -> bool:
        return self._repositories[repo_id].private

    # Faults

    def fail(
        self,
        match: str,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        times: int | None = 1,
        delay: float = 0.0,
        cut_after: int | None = None,
        cut_reply: int | None = None,
    ) -> None:
        """
        Makes the next `times` requests (None: all) fail whose "METHOD /path?query" contains the pattern `match`.

        They are delayed by `delay` seconds, or refused with `status`. With `cut_after`, the connection is reset after
        that many bytes of the request's body, and the request is discarded. With `cut_reply`, the request is executed,
        but the connection is closed after that many bytes of the reply's body.
        """
        reply = None
        if status is not None:
            # The client expects this text with a 401. Otherwise it reports a missing repository.
            message = "Invalid credentials in Authorization header" if status == 401 else HTTPStatus(status).phrase
            reply = refuse(Refusal(status, message))
            reply.headers.update(headers or {})
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
        user = self.users.get(token)
        try:
            with self.lock:
                if token and user is None:
                    raise Refusal(401, "Invalid credentials in Authorization header")
                return self._route(Request(method, url.path, parse_qs(url.query), headers, body, user))
        except Refusal as refusal:
            return refuse(refusal)

    def _route(self, request: Request) -> Reply:
        path, user = request.path, request.user
        if match := REPOSITORY.fullmatch(path):
            repository, name = self._repositories.find(match[1], user), match[2] or "info"
            revision = unquote(match[3] or "main")
            if request.method == "GET" or name == "paths-info":
                return answer(read(request, repository, name, revision, unquote(match[4] or "")))
            return answer(write(request, repository, name, revision))
        if match := RESOLVE.fullmatch(path):
            return resolve(request, self._repositories.find(match[1], user).find(unquote(match[2])), unquote(match[3]))
        if match := LFS_BATCH.fullmatch(path):
            repository, content = self._repositories.find(match[1], user), request.json()
            repository.check_writer(user, pull_request="ref" not in content)
            return answer(repository.lfs_batch(content["objects"]))
        if match := LFS_OBJECT.fullmatch(path):
            # Needs no token: the real address is a signed URL of a storage service.
            repository, oid, verify = self._repositories[match[1]], match[2], match[3]
            if not verify:
                repository.put_object(oid, request.body)
            return answer({"oid": oid, "size": len(repository.find_object(oid).data)})
        match f"{request.method} {path}":
            case "GET /api/whoami-v2":
                return answer({"type": "user", "name": logged_in(user)})
            case "POST /api/validate-yaml":
                findings = check_card(request.json()["content"])
                return answer(findings, 400 if findings["errors"] else 200)
            case "POST /api/repos/create":
                content, key = request.json(), named(request)
                private, sdk = content.get("visibility") == "private", content.get("sdk")
                self._repositories.create(key, user, private, f"{self.endpoint}/{key}", sdk)
                self.hardware[key] = content.get("hardware")
                return answer({"url": f"{self.endpoint}/{key}"})
            case "DELETE /api/repos/delete":
                self._repositories.find(named(request), user).check_writer(user)
                del self._repositories[named(request)]
                return answer({})
        raise Refusal(404, f"There is no {path}")


def named(request: Request) -> str:
    """Returns the key of the repository to create or delete."""
    content = request.json()
    kind = {"dataset": "datasets/", "space": "spaces/"}.get(content.get("type"), "")
    return f"{kind}{content['organization'] or request.user}/{content['name']}"


def read(request: Request, repository: Repository, name: str, revision: str, folder: str) -> Any:
    """Answers a request for which read access to the repository suffices."""
    match name:
        case "info" | "revision":
            return repository.info(revision, request.has("blobs"))
        case "tree":
            return repository.tree(revision, folder, request.has("recursive"))
        case "paths-info":
            return repository.paths_info(revision, parse_qs(request.body.decode())["paths"])
        case "commits":
            return repository.commits(revision)
        case "refs":
            return repository.branches_and_tags()
    raise Refusal(404, f"There is no {request.path}")


def write(request: Request, repository: Repository, name: str, revision: str) -> Any:
    """Answers a request that changes the repository, or prepares a change."""
    pull_request = request.has("create_pr")
    author = repository.check_writer(request.user, pull_request)
    match f"{request.method} {name}":
        case "POST preupload":
            return repository.preupload(revision, request.json()["files"])
        case "POST commit":
            lines = [json.loads(line) for line in request.body.splitlines()]
            return repository.commit(revision, lines, author, pull_request)
        case "POST branch":
            repository.add_ref(f"refs/heads/{revision}", request.json().get("startingPoint", "main"))
        case "POST tag":
            repository.add_ref(f"refs/tags/{request.json()['tag']}", revision)
        case "DELETE branch":
            del repository.refs[f"refs/heads/{revision}"]
        case "DELETE tag":
            del repository.refs[f"refs/tags/{revision}"]
        case "PUT settings":
            repository.private = request.json()["visibility"] == "private"
        case _:
            raise Refusal(404, f"There is no {request.path}")
    return {}


def resolve(request: Request, commit: Commit, path: str) -> Reply:
    """Returns a file, or the rest of it when an interrupted download resumes."""
    if path not in commit.files:
        raise Refusal(404, "Entry not found", "EntryNotFound", commit.sha)
    blob, size = commit.files[path], len(commit.files[path].data)
    headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{blob.etag}"'}
    if blob.lfs:
        headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(size)}
    if rest := re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", "")):
        content_range = {"Content-Range": f"bytes {rest[1]}-{size - 1}/{size}"}
        return Reply(206, headers | content_range, blob.data[int(rest[1]) :])
    return Reply(200, headers, blob.data)


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
        if not isinstance(sys.exception(), OSError):  # Clients may disconnect.
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
        reply = fault.reply or hub.respond(self.command, self.path, headers, body)
        self.send(reply, fault.cut_reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

    def read_body(self, limit: int | None) -> bytes:
        """Reads the whole body, because clients may not listen before they have sent it, or up to `limit` bytes."""
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
            self.send_header(name, value)
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
