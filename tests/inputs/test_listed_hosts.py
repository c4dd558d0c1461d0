"""What a list may make us ask: the stores that hold files, and no host beside them."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from digitrec.errors import InputError, ScanError
from digitrec.inputs.fetch import contents
from digitrec.inputs.listing import list_inputs
from digitrec.storage.uris import open_remotes, open_uri, remote_of


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """A web server on this machine: its port, and what it was asked."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            requests.append("a connection")
            self.connection.close()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_address[1], requests
    server.shutdown()
    thread.join()
    server.server_close()


ROWS = [
    "simplecache::http://{host}/x", "filecache::https://{host}/x.png", "HTTP://{host}/x",
    "http://{host}/x", "webhdfs://{host}/x", "ftp://{host}/x", "SimpleCache::HTTP://{host}/x",
    "zip://x.png::http://{host}/a.zip", "sftp://{host}/x", "github://a:b@{host}/x",
    "s3::http://{host}/x", "blockcache::memory://x", "memory://elsewhere/x", " http://{host}/x",
]  # fmt: skip


def test_a_list_makes_nobody_ask_a_host(asked: tuple[int, list[str]]) -> None:
    port, requests = asked
    rows = [row.format(host=f"127.0.0.1:{port}") for row in ROWS]
    for row, content in zip(rows, contents(rows, ()), strict=True):
        assert isinstance(content, ScanError), row
        assert content.code == "unreadable"
        assert "is not allowed" in content.words
    assert requests == []


@pytest.mark.parametrize(
    "uri", ["HTTP://{host}/x", "https://{host}/x", "simplecache::http://{host}/x", "zip://a::b://c"]
)
def test_nor_does_an_input(asked: tuple[int, list[str]], uri: str) -> None:
    port, requests = asked
    with pytest.raises(InputError, match=r"can't be opened: (the web|chains of filesystems)"):
        list_inputs([uri.format(host=f"127.0.0.1:{port}")])
    assert requests == []


def test_where_an_input_lies_a_list_may_name_files(memory: str) -> None:
    fsspec.filesystem("memory").pipe(f"{memory}/a.png", b"1")
    fsspec.filesystem("memory").pipe(f"{memory}/list.txt", b"a.png\n")
    (path,) = list_inputs([f"{memory}/list.txt"]).paths
    remotes = open_remotes([f"{memory}/list.txt"])
    scheme, rest = path.split("://")
    for uri in (path, f"{scheme.upper()}://{rest}"):
        assert list(contents([uri], remotes)) == [b"1"]


def test_a_file_uri_in_a_list_is_read_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    uris = [f"file://{tmp_path}/a.png", f"FILE://localhost{tmp_path}/a.png"]
    assert list(contents(uris, ())) == [b"1", b"1"]


def test_buckets_in_other_regions_are_told_apart() -> None:
    first, second = "s3://a/x?region=eu-west-1", "s3://b/x?region=us-west-2"
    remotes = open_remotes([first, second])
    regions = [remote_of(f"s3://{name}/y.png", remotes)[0] for name in "ab"]
    assert [one.filesystem.region for one in regions if one] == ["eu-west-1", "us-west-2"]
    with pytest.raises(InputError, match="s3://a need different accounts, regions or options"):
        open_remotes([first, "s3://a/z?region=us-west-2"])


def test_few_hosts_are_kept_open() -> None:
    assert open_uri.cache_info().maxsize


@pytest.mark.parametrize("glob", ["a?.png", "?1.png", "a[12].png", "*/a1.png", "**/a1.png"])
def test_globs_behind_uris_match(memory: str, glob: str) -> None:
    for name in ("a1.png", "a1.png2", "ab1.png", "x/a1.png", "x/y/a1.png"):
        fsspec.filesystem("memory").pipe(f"{memory}/{name}", b"")
    expected = {"*/a1.png": ["x/a1.png"], "**/a1.png": ["a1.png", "x/a1.png", "x/y/a1.png"]}
    names = expected.get(glob, ["a1.png"])
    assert list_inputs([f"{memory}/{glob}"]).paths == [f"{memory}/{name}" for name in names]
