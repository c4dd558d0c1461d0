"""Engine: normalised scans → probabilities, with ONNX Runtime on one core."""

from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digitrec.errors import BundleError
from digitrec.model.bundle import Bundle

# Larger batches fall out of the cache: 128 scans have 3 MB after the first convolution.
BATCH = 128


class Engine:
    """A bundle's network, ready to run.

    One thread: a worker has one core, and scales by more workers.

    Raises:
        BundleError: the bundle's ONNX file is none that this program can run.
    """

    def __init__(self, bundle: Bundle) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.card = bundle.card
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.onnx, options, providers=["CPUExecutionProvider"]
            )
        except Exception as why:  # ONNX Runtime's errors share no base class but this
            raise BundleError(f"the network of bundle {bundle.card.id} can't run: {why}") from why

    def logits(self, scans: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the logits float32 [N, 10] of normalised scans uint8 [N, 28, 28]."""
        result = np.empty((len(scans), 10), np.float32)
        for start in range(0, len(scans), BATCH):
            batch = scans[start : start + BATCH]
            [result[start : start + BATCH]] = self._session.run(["logits"], {"scans": batch})
        return result

    def answers(self, scans: NDArray[np.uint8]) -> "Answers":
        """Read normalised scans uint8 [N, 28, 28]."""
        logits = self.logits(scans)
        known = self.card.min_digitness is not None
        return Answers(
            softmax(logits / self.card.temperature), digitness(logits) if known else None
        )


class Answers(NamedTuple):
    """What a network says of N scans."""

    probabilities: NDArray[np.float32]  # [N, 10], of each digit, if a scan shows one
    digitness: NDArray[np.float32] | None  # [N], probability that it does; None: not trained for it


def digitness(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the probability float32 [N] that a scan shows a digit, from logits float32 [N, 10].

    The network was trained with an eleventh class for what shows none, whose logit is always 0.
    """
    highest = np.maximum(logits.max(axis=1), 0)
    digits = np.exp(logits - highest[:, None]).sum(axis=1)
    probability: NDArray[np.float32] = digits / (digits + np.exp(-highest))
    return probability


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits float32 [N, 10] into probabilities of the same shape."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
