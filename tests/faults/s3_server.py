"""An S3 server (moto) with MNIST in a bucket, which refuses a share of the requests.

    python -m tests.faults.s3_server PORT COUNT SHARE

`COUNT` images lie at `s3://bucket/scans/LABEL/NUMBER.png`. Of all requests `SHARE` are answered
with 503, as S3 does when it is asked too fast; an object with `broken` in its name is always.
"""

import random
import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from pyarrow import fs
from werkzeug.serving import WSGIRequestHandler, run_simple

from digitrec.datasets import mnist
from digitrec.datasets.labelled import png

Environment = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


ACCOUNT = "testing"


def bucket_of(name: str, server: str) -> str:
    """Make a bucket named after a test on a server; give the URI of a folder in it."""
    name = "".join(letter for letter in name if letter.isalpha()).lower()[-40:]
    store = fs.S3FileSystem(
        access_key=ACCOUNT, secret_key=ACCOUNT, endpoint_override=server, scheme="http",
        allow_bucket_creation=True,
    )  # fmt: skip
    store.create_dir(name)
    query = f"scheme=http&endpoint_override={server}&region=us-east-1"
    return f"s3://{ACCOUNT}:{ACCOUNT}@{name}/result?{query}"


class Refusing:
    """A WSGI application that answers 503 now and then instead of another application."""

    def __init__(self, application: Any, share: float) -> None:
        self.application, self.share = application, share
        self.random = random.Random(0)

    def __call__(self, environment: Environment, start: StartResponse) -> Iterable[bytes]:
        if self.random.random() < self.share or "broken" in environment["PATH_INFO"]:
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [SLOW_DOWN]
        answer: Iterable[bytes] = self.application(environment, start)
        return answer


class Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections, as S3 does

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def fill(count: int) -> None:
    """Put images into the bucket, past the network."""
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_bucket("bucket", "us-east-1")
    for name, content in scans(count):
        backend.put_object("bucket", name, content)


def scans(count: int) -> Iterable[tuple[str, bytes]]:
    """Give names and contents of the first `count` of MNIST's test and training images."""
    number = 0
    for split in ("test", "train"):
        images, labels = mnist.load(split)  # type: ignore[arg-type]
        for image, label in zip(images, labels, strict=True):
            if number == count:
                return
            yield f"scans/{label}/{number:05d}.png", png(image)
            number += 1


if __name__ == "__main__":
    fill(int(sys.argv[2]))
    server = Refusing(DomainDispatcherApplication(create_backend_app), float(sys.argv[3]))
    run_simple("127.0.0.1", int(sys.argv[1]), server, threaded=True, request_handler=Silent)
