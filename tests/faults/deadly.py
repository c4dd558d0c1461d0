"""`python -m tests.faults.deadly SCANS OUT`: classify, with a decoder that some scans kill.

No file is at hand that crashes a decoder of today, so the workers get one that can be crashed. A
program of its own, since Ray may take its driver along when workers die.
"""

import os
import signal
import sys

from digitrec import pipeline
from digitrec.batch import classify as module
from digitrec.batch.classify import Classifier, classify
from digitrec.batch.run import RunSettings
from digitrec.batch.stats import Stats
from digitrec.inputs import decode

KILL = b"this file kills"


def deadly_decode(content: bytes) -> decode.Decoded:
    if content == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode.decode(content)


class Deadly(Classifier):
    """A classifier whose process can be killed by what it reads."""

    def __call__(self, number: int, *, here: bool = False) -> Stats:
        pipeline.decode = deadly_decode
        return super().__call__(number, here=here)


if __name__ == "__main__":
    # Ray's workers import this module by its name, not as __main__.
    from tests.faults import deadly

    module.Classifier = deadly.Deadly  # type: ignore[misc]
    classify(RunSettings(inputs=(sys.argv[1],), out=sys.argv[2], quiet=True))
