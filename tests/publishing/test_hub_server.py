"""Tests of the local Hub with the real client. All other tests that use it rely on these."""

import time
from pathlib import Path

import numpy as np
import pytest
import requests
from datasets import load_dataset
from huggingface_hub import CommitOperationDelete, HfApi, ModelCard, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from PIL import Image

from dcgan_hf.publishing.upload import HTTPError


OWNER, STRANGER = "hf_testtokenoftheowner", "hf_testtokenofastranger"
WEIGHTS = bytes(range(256)) * 400
CARD = "---\nlicense: apache-2.0\ntags:\n- dcgan\nlibrary_name: diffusers\n---\n# A model\n"
CONTENT = {"README.md": CARD.encode(), "config.json": b"{}", "generator/model.safetensors": WEIGHTS}


@pytest.fixture
def api(hub):
    return HfApi(token=OWNER)


@pytest.fixture
def folder(tmp_path):
    for path, content in CONTENT.items():
        (tmp_path / "folder" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / path).write_bytes(content)
    return tmp_path / "folder"


@pytest.fixture
def repo(api, folder):
    api.create_repo("org/model")
    api.upload_folder(repo_id="org/model", folder_path=folder, commit_message="Upload")
    return "org/model"


def lines(hub):
    return [f"{request.method} {request.path}" for request in hub.requests]


def own_files(hub, repo, **options):
    return {path: data for path, data in hub.files(repo, **options).items() if path != ".gitattributes"}


def test_create(hub, api):
    assert api.create_repo("org/model", private=True).repo_id == "org/model"
    assert api.create_repo("org/model", exist_ok=True).repo_id == "org/model"
    with pytest.raises(HfHubHTTPError, match="already created"):
        api.create_repo("org/model")
    api.create_repo("org/data", repo_type="dataset")
    assert hub.repos == ["org/model", "datasets/org/data"]
    assert (hub.is_private("org/model"), hub.is_private("datasets/org/data")) == (True, False)
    api.update_repo_settings("org/model", private=False)
    assert not hub.is_private("org/model")
    api.delete_repo("org/model")
    assert hub.repos == ["datasets/org/data"]
    assert api.whoami()["name"] == "org"


def test_upload_is_one_commit_and_a_second_one_none(hub, api, repo, folder):
    assert own_files(hub, repo) == CONTENT
    assert [title for title, _ in hub.commits(repo)] == ["Upload", "initial commit"]
    puts = [request for request in hub.requests if request.method == "PUT"]
    assert [request.length for request in puts] == [len(WEIGHTS)]
    assert "authorization" not in puts[0].headers  # On the real Hub, this request goes to a storage service.
    assert all("authorization" in request.headers for request in hub.requests if "/api/models/" in request.path)

    before = hub.commits(repo)
    assert api.upload_folder(repo_id=repo, folder_path=folder).oid == before[0][1]
    assert hub.commits(repo) == before
    assert [c.title for c in api.list_repo_commits(repo)] == [title for title, _ in before]


def test_operations(hub, api, repo):
    deletions = [CommitOperationDelete("generator/"), CommitOperationDelete("config.json")]
    api.create_commit(repo, deletions, commit_message="Delete")
    assert own_files(hub, repo) == {"README.md": CONTENT["README.md"]}
    with pytest.raises(EntryNotFoundError, match="doesn't exist"):
        api.delete_file("config.json", repo)
    with pytest.raises(HfHubHTTPError, match="412"):
        api.delete_file("README.md", repo, parent_commit="0" * 40)


def test_download(hub, repo, tmp_path):
    hub.requests.clear()
    for _ in range(2):
        path = hf_hub_download(repo, "generator/model.safetensors", cache_dir=tmp_path / "one")
        assert Path(path).read_bytes() == WEIGHTS
    assert [line.split()[0] for line in lines(hub)] == ["HEAD", "GET", "HEAD"]

    hub.requests.clear()
    snapshot = snapshot_download(repo, cache_dir=tmp_path / "all", ignore_patterns="*.md")
    assert all(Path(snapshot, path).read_bytes() == CONTENT[path] for path in [*CONTENT][1:])
    assert not any("README.md" in line for line in lines(hub))
    hub.requests.clear()
    assert snapshot_download(repo, cache_dir=tmp_path / "all", ignore_patterns="*.md") == snapshot
    assert lines(hub) == [f"GET /api/models/{repo}/revision/main"]


def test_interrupted_download_goes_on_where_it_was(hub, api, repo, tmp_path):
    data = WEIGHTS * 110  # The client records its progress in steps of 10 MiB.
    api.upload_file(path_or_fileobj=data, path_in_repo="large.safetensors", repo_id=repo)
    hub.fail("GET .*large", cut_reply=21 * 2**19)
    assert Path(hf_hub_download(repo, "large.safetensors", cache_dir=tmp_path)).read_bytes() == data
    assert hub.requests[-1].headers["range"] == f"bytes={10 * 2**20}-"


def test_revisions(hub, api, repo, tmp_path):
    first = api.model_info(repo).sha
    api.create_tag(repo, tag="v1")
    api.create_branch(repo, branch="next")
    api.upload_file(path_or_fileobj=b"[]", path_in_repo="config.json", repo_id=repo, revision="next")
    pr = api.upload_file(path_or_fileobj=b"1", path_in_repo="config.json", repo_id=repo, create_pr=True)
    assert (pr.pr_num, pr.pr_revision) == (1, "refs/pr/1")
    for revision, content in [("v1", b"{}"), ("main", b"{}"), (first, b"{}"), ("next", b"[]"), ("refs/pr/1", b"1")]:
        path = hf_hub_download(repo, "config.json", revision=revision, cache_dir=tmp_path)
        assert Path(path).read_bytes() == content
        assert hub.files(repo, revision)["config.json"] == content
    refs = api.list_repo_refs(repo, include_pull_requests=True)
    assert [ref.name for ref in refs.branches + refs.tags] == ["main", "next", "v1"]
    assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/1"]
    api.delete_tag(repo, tag="v1")
    api.delete_branch(repo, branch="next")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(repo, revision="v1")


def test_info(api, repo):
    info = api.model_info(repo, files_metadata=True)
    assert info.card_data.license == "apache-2.0"
    assert (info.library_name, info.tags) == ("diffusers", ["diffusers", "dcgan"])
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings}
    assert {path: len(content) for path, content in CONTENT.items()}.items() <= sizes.items()
    top = ".gitattributes README.md config.json generator"
    assert [entry.path for entry in api.list_repo_tree(repo)] == top.split()
    assert [entry.path for entry in api.list_repo_tree(repo, "generator")] == ["generator/model.safetensors"]
    entry, other = api.get_paths_info(repo, ["generator/model.safetensors", "generator", "nothing"])
    assert (entry.size, entry.lfs.size, other.path) == (len(WEIGHTS), len(WEIGHTS), "generator")


def test_rights(hub, api, repo, folder):
    api.create_repo("org/secret", private=True)
    api.upload_folder(repo_id="org/secret", folder_path=folder)
    assert api.model_info("org/secret").private
    for token in (False, STRANGER):
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download("org/secret", "config.json", token=token)
    with pytest.raises(HfHubHTTPError, match="401.*\n*.*Invalid credentials"):
        HfApi(token="hf_wrong").create_repo("org/other")
    with pytest.raises(HfHubHTTPError, match="403 Forbidden: You don't have the rights"):
        HfApi(token=STRANGER).create_repo("org/other")
    with pytest.raises(HfHubHTTPError, match="403 Forbidden"):
        HfApi(token=STRANGER).upload_folder(repo_id=repo, folder_path=folder)
    stranger = HfApi(token=STRANGER)
    assert stranger.upload_file(path_or_fileobj=b"2", path_in_repo="config.json", repo_id=repo, create_pr=True).pr_num
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(token=False).create_repo("org/other")
    assert hub.repos == ["org/model", "org/secret"]
    assert hub.files(repo)["config.json"] == b"{}"


def test_what_does_not_exist(repo):
    for name in ("org/nothing", "nothing"):
        for token in (False, STRANGER):
            with pytest.raises(RepositoryNotFoundError):
                hf_hub_download(name, "config.json", token=token)
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download(repo, "config.json", revision="v9")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(repo, "nothing.json")


def test_cards(hub, api, repo):
    ModelCard(CARD.replace("A model", "Another")).push_to_hub(repo, token=OWNER)
    assert "Another" in ModelCard.load(repo).text
    with pytest.raises(ValueError, match="license"):
        ModelCard("---\nlicense: What I like\n---\n").push_to_hub(repo, token=OWNER)
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        api.upload_file(path_or_fileobj=b"# None", path_in_repo="README.md", repo_id=repo)


def test_data_sets(hub, api, tmp_path):
    for number in range(4):
        path = tmp_path / "images" / "train" / f"{'ab'[number % 2]}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(path)
    api.create_repo("org/images", repo_type="dataset")
    api.upload_folder(repo_id="org/images", repo_type="dataset", folder_path=tmp_path / "images")
    data = load_dataset("org/images", split="train", cache_dir=tmp_path)
    assert data["label"] == [0, 0, 1, 1]
    data.push_to_hub("org/parquet", token=OWNER)
    assert load_dataset("org/parquet", split="train", cache_dir=tmp_path)["label"] == data["label"]
    assert hub.repos == ["datasets/org/images", "datasets/org/parquet"]


def test_refused_requests(hub, api, repo, folder):
    (folder / "config.json").write_bytes(b"[]")
    for step, status in [("preupload", 503), ("commit", 500), ("repos/create", 429), ("commit", 409)]:
        hub.fail(f"POST .*{step}", status, {"Retry-After": "0"})
    started = time.monotonic()
    with pytest.raises(HfHubHTTPError, match="500"):  # The commit is tried once, preupload is retried.
        api.upload_folder(repo_id=repo, folder_path=folder)
    assert 1 < time.monotonic() - started < 3
    with pytest.raises(HfHubHTTPError, match="429 Too Many Requests"):
        api.create_repo(repo, exist_ok=True)
    with pytest.raises(HfHubHTTPError, match="409"):
        api.upload_folder(repo_id=repo, folder_path=folder)
    hub.fail(".", 500, times=None)
    with pytest.raises(HfHubHTTPError, match="500"):
        api.model_info(repo)
    hub.heal()
    api.upload_folder(repo_id=repo, folder_path=folder)
    assert hub.files(repo)["config.json"] == b"[]"


def test_cut_upload(hub, api, repo, folder):
    (folder / "generator" / "model.safetensors").write_bytes(WEIGHTS[::-1])
    hub.fail("PUT .*/lfs-objects/", cut_after=len(WEIGHTS) // 2)
    hub.fail("POST .*/commit/", cut_after=10)
    with pytest.raises(HTTPError):  # The PUT is retried, the commit is not.
        api.upload_folder(repo_id=repo, folder_path=folder)
    assert [request.length for request in hub.requests if request.method == "PUT"][1:] == [51200, 102400]
    assert hub.files(repo)["generator/model.safetensors"] == WEIGHTS
    hub.fail("POST .*/commit/", cut_reply=0)
    with pytest.raises(HTTPError):
        api.upload_folder(repo_id=repo, folder_path=folder)
    assert hub.files(repo)["generator/model.safetensors"] == WEIGHTS[::-1]  # Only the reply was lost.


def test_wrong_upload_is_not_kept(hub, api):
    url = api.create_repo("org/model")
    response = requests.put(f"{url}/lfs-objects/{'0' * 64}", data=iter([b"not", b"this"]))
    assert response.status_code == 400
    assert hub.requests[-1].headers["transfer-encoding"] == "chunked"


def test_slow_or_absent_server(hub, repo, tmp_path):
    path = hf_hub_download(repo, "config.json", cache_dir=tmp_path)
    hub.fail("HEAD", delay=0.5)
    assert hf_hub_download(repo, "config.json", cache_dir=tmp_path, etag_timeout=0.1) == path
    with hub.down():
        assert hf_hub_download(repo, "config.json", cache_dir=tmp_path) == path
        with pytest.raises(LocalEntryNotFoundError):
            snapshot_download("org/nothing", cache_dir=tmp_path)
    assert hf_hub_download(repo, "README.md", cache_dir=tmp_path)
