import json
import threading
import time

import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from pyarrow import fs

from digitrec.bulk import lock
from digitrec.bulk.lock import PlainStore, S3Store, exclusive
from digitrec.errors import InputError, RunError
from digitrec.folder import Folder, open_folder
from digitrec.storage import TRIES
from tests.faults.s3_server import SLOW_DOWN

ACCOUNT = "testing"


@pytest.fixture
def bucket(request: pytest.FixtureRequest, s3_server: str) -> str:
    """A folder in a bucket, as a URI."""
    name = "".join(letter for letter in request.node.name if letter.isalpha()).lower()[-40:]
    store = fs.S3FileSystem(
        access_key=ACCOUNT, secret_key=ACCOUNT, endpoint_override=s3_server, scheme="http",
        allow_bucket_creation=True,
    )  # fmt: skip
    store.create_dir(name)
    query = f"scheme=http&endpoint_override={s3_server}&region=us-east-1"
    return f"s3://{ACCOUNT}:{ACCOUNT}@{name}/result?{query}"


@pytest.fixture(params=["with conditions", "without"])
def location(request: pytest.FixtureRequest, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder on a filesystem with conditional writes, and on one without."""
    monkeypatch.setattr(PlainStore, "SETTLE_SECONDS", 0.05)
    return bucket if request.param == "with conditions" else f"memory://{open_folder(bucket).path}"


@pytest.fixture
def folder(location: str) -> Folder:
    return open_folder(location)


def lease(folder: Folder) -> dict[str, float | str]:
    content: dict[str, float | str] = json.loads(folder.read("_lock"))
    return content


def leave_lease(folder: Folder, seconds: float) -> None:
    """Leave a lease as a run does that died so long after it renewed it."""
    content = {"owner": "dead", "host": "elsewhere", "pid": 7, "renewed": time.time() - seconds}
    folder.write("_lock", json.dumps(content).encode())


def test_one_at_a_time(location: str, folder: Folder) -> None:
    with (
        exclusive(folder, location),
        pytest.raises(InputError, match=r"another run is writing .* ends in (60|59|58) s"),
        exclusive(folder, location),
    ):
        pass
    assert folder.names() == []
    with exclusive(folder, location) as check:
        check()


def test_a_dead_runs_lease_is_taken_over_when_it_is_stale(location: str, folder: Folder) -> None:
    leave_lease(folder, 40)
    with (
        pytest.raises(InputError, match=r"elsewhere, process 7.*its lease ends in (20|19|18) s"),
        exclusive(folder, location),
    ):
        pass
    leave_lease(folder, 61)
    with exclusive(folder, location) as check:
        check()


def test_a_lease_is_renewed_and_its_loss_is_noticed(
    location: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.1)
    with exclusive(folder, location) as check:
        first = lease(folder)
        deadline = time.monotonic() + 10
        while lease(folder)["renewed"] == first["renewed"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        check()
        folder.write("_lock", json.dumps({**first, "owner": "another"}).encode())
        while any(thread.name == "lease" for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(RunError, match="another run took"):
            check()
    assert lease(folder)["owner"] == "another"  # it is not ours to delete


def test_of_many_that_begin_together_one_wins(bucket: str) -> None:
    folder = open_folder(bucket)
    outcomes: list[str] = []
    barrier, done = threading.Barrier(6), threading.Barrier(6)

    def begin() -> None:
        barrier.wait()
        try:
            with exclusive(folder, bucket):
                outcomes.append("won")
                done.wait()
        except InputError:
            outcomes.append("refused")
            done.wait()

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 5 + ["won"]


def test_the_condition_is_the_stores(bucket: str) -> None:
    """Not ours: what was read a moment ago is not trusted."""
    path = f"{open_folder(bucket).path}/_lock"
    one, other = S3Store(bucket, path), S3Store(bucket, path)
    assert one.read() is None
    version = one.write(b"one", None)
    assert version
    assert other.write(b"other", None) is None
    assert other.read() == (b"one", version)
    newer = one.write(b"one again", version)
    assert newer
    assert other.write(b"other", version) is None
    one.delete()
    assert other.write(b"other", newer) is None


def test_a_busy_store_is_asked_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = S3Store(bucket, f"{open_folder(bucket).path}/_lock")
    refusals = iter(range(TRIES - 1))

    def refuse(request: AWSRequest, **_: object) -> AWSResponse | None:
        if next(refusals, None) is None:
            return None
        answer = AWSResponse(request.url, 503, {}, None)
        answer._content = SLOW_DOWN
        return answer

    store._client.meta.events.register("before-send.s3.PutObject", refuse)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    version = store.write(b"one", None)
    assert next(refusals, None) is None
    assert store.read() == (b"one", version)
