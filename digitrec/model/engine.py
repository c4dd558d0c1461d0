"""Engine: scans → probabilities and marks of ink, with ONNX Runtime on one core."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from digitrec.errors import BundleError
from digitrec.model.bundle import Bundle
from digitrec.model.card import Card
from digitrec.model.policy import Policy
from digitrec.normalize.squared import INK_SIDE

LEAST = np.finfo(np.float32).tiny
# The ink network's features of more scans than this fall out of a core's cache.
INK_BATCH = 16
# How far down and to the right a scan is moved where it is read again, in pixels.
SHIFTS = ((1, 0), (-1, 0), (0, 1), (0, -1))


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """How networks are run."""

    providers: tuple[str, ...] = ("CPUExecutionProvider",)  # ONNX Runtime's, the first that works
    threads: int = 1  # a worker has one core, and scales by more workers
    # Larger batches fall out of a core's cache: 128 scans have 3 MB after the first convolution.
    batch_size: int = 128


ONE_CORE = EngineSettings()


class Engine(Protocol):
    """A bundle ready to read digits, a network's or a cascade's."""

    @property
    def card(self) -> Card:
        """The bundle's card."""

    @property
    def policy(self) -> Policy:
        """When a digit is accepted."""

    @property
    def ink(self) -> "InkEngine":
        """The bundle's ink network."""

    def answers(self, scans: NDArray[np.uint8]) -> "Answers":
        """Read normalized scans uint8 [N, 28, 28]."""


def open_engine(bundle: Bundle, settings: EngineSettings = ONE_CORE) -> Engine:
    """Make a bundle ready.

    Raises:
        BundleError: an ONNX file is none that this program can run.
    """
    if bundle.members:
        return CascadeEngine(bundle, settings)
    return NetworkEngine(bundle, settings)


_engines: dict[tuple[str, str, EngineSettings], Engine] = {}


def kept_engine(bundle: Bundle, settings: EngineSettings = ONE_CORE) -> Engine:
    """Return a bundle's engine, opened once a process and kept for the next scans.

    Raises:
        BundleError: as `open_engine`.
    """
    key = bundle.card.calibration_id, bundle.policy.id, settings
    if key not in _engines:
        _engines[key] = open_engine(bundle, settings)
    return _engines[key]


class NetworkEngine:
    """A network, ready to run.

    Args:
        bundle: the network's, no cascade.
        settings: how it is run.
        ink: the ink network to look with; None: the bundle's own.

    Raises:
        BundleError: the bundle's ONNX file is none that this program can run, or its input or
            output is of another name, type or shape.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: EngineSettings = ONE_CORE,
        ink: "InkEngine | None" = None,
    ) -> None:
        self.card, self.policy, self._batch_size = bundle.card, bundle.policy, settings.batch_size
        self.ink = ink or InkEngine(
            bundle.ink, f"the ink network of bundle {bundle.card.id}", settings
        )
        with _usable(f"the network of bundle {bundle.card.id}"):
            self._session = _session(bundle.onnx, settings)
            _check_signature(self._session)

    def logits(self, scans: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits float32 [N, 10] of normalized scans uint8 [N, 28, 28]."""
        result = np.empty((len(scans), 10), np.float32)
        for start in range(0, len(scans), self._batch_size):
            some = slice(start, start + self._batch_size)
            [result[some]] = self._session.run(["logits"], {"scans": scans[some]})
        return result

    def answers(self, scans: NDArray[np.uint8]) -> "Answers":
        """Read normalized scans uint8 [N, 28, 28]; those that it is not certain of, five times.

        Of a scan moved by a pixel the digit is the same. What a network is certain of by accident
        it is certain of there seldom: the mean of the five orders right and wrong answers better
        than the first alone.
        """
        answers = self.at_first(scans)
        doubted = np.flatnonzero(answers.certainty() < self.card.reread_below)
        if doubted.size:
            moved = [self._probabilities(self.logits(one)) for one in shifted(scans[doubted])]
            answers.probabilities[doubted] = np.mean(
                [answers.probabilities[doubted], *moved], axis=0
            )
        return answers

    def at_first(self, scans: NDArray[np.uint8]) -> "Answers":
        """Read normalized scans uint8 [N, 28, 28] once each."""
        logits = self.logits(scans)
        known = self.card.policy.min_digit_score is not None
        return Answers(self._probabilities(logits), digit_score(logits) if known else None)

    def _probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        return softmax(logits / np.float32(self.card.temperature))


class CascadeEngine:
    """Two networks: the small one answers, and the large one where that would not do.

    It is asked where the small one is not certain, and where the small one's answer alone would
    go to review as no digit. No error budget changes what is asked: the readings are the same
    under all of them.

    Raises:
        BundleError: a member's ONNX file is none that this program can run.
    """

    def __init__(self, bundle: Bundle, settings: EngineSettings = ONE_CORE) -> None:
        self.card, self.policy = bundle.card, bundle.policy
        small, large = bundle.members
        self._small = NetworkEngine(small, settings)
        self.ink = self._small.ink
        self._large = NetworkEngine(large, settings, self.ink)

    def answers(self, scans: NDArray[np.uint8]) -> "Answers":
        """Read normalized scans uint8 [N, 28, 28]."""
        assert self.card.hand_over is not None
        small = self._small.at_first(scans)
        asked = to_ask(small, self.card.hand_over, self.policy)
        merged = handed_over(small, asked, self._large.answers(scans[asked]))
        return merged._replace(probabilities=tempered(merged.probabilities, self.card.temperature))


class InkEngine:
    """An ink network, ready to run.

    Args:
        onnx: its ONNX file.
        name: what it is called where it can't be used.
        settings: how it is run.

    Raises:
        BundleError: the ONNX file is none that this program can run, or its input or outputs are
            of other names, types or shapes.
    """

    def __init__(self, onnx: bytes, name: str, settings: EngineSettings = ONE_CORE) -> None:
        with _usable(name):
            self._session = _session(onnx, settings)
            _check_declared(self._session, INK_SIDE, {"marks": [INK_SIDE, INK_SIDE], "written": []})

    def look(self, scans: NDArray[np.uint8]) -> "Marks":
        """Mark handwriting in scans uint8 [N, 64, 64], as `squared` gives them."""
        chance = np.empty((len(scans), INK_SIDE, INK_SIDE), np.float32)
        written = np.empty(len(scans), np.float32)
        for start in range(0, len(scans), INK_BATCH):
            some = slice(start, start + INK_BATCH)
            chance[some], written[some] = self._session.run(
                ["marks", "written"], {"scans": scans[some]}
            )
        return Marks(sigmoid(chance), sigmoid(written))


def _session(onnx: bytes, settings: EngineSettings) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(onnx, options, providers=list(settings.providers))


@contextmanager
def _usable(what: str) -> Iterator[None]:
    """Turn what ONNX Runtime raises into a sentence."""
    try:
        yield
    except Exception as why:  # ONNX Runtime's errors share no base class but this
        words = " ".join(str(why).split())
        raise BundleError(f"{what} can't be used: {words}") from why


def _check_declared(
    session: onnxruntime.InferenceSession, side: int, outputs: Mapping[str, list[int]]
) -> None:
    """Check that a network declares to take scans of a side, and to give outputs of such shapes.

    Raises:
        ValueError: it does not.
    """
    takes, gives = session.get_inputs(), session.get_outputs()
    if not (len(takes) == 1 and _is(takes[0], "scans", "tensor(uint8)", [side, side])):
        raise ValueError(f"it takes {_shown(takes)}, not scans tensor(uint8) [N, {side}, {side}]")
    for name, shape in outputs.items():
        if not any(_is(one, name, "tensor(float)", shape) for one in gives):
            wanted = ", ".join(["N", *map(str, shape)])
            raise ValueError(f"it gives {_shown(gives)}, not {name} tensor(float) [{wanted}]")


def _check_signature(session: onnxruntime.InferenceSession) -> None:
    """Check that a network takes scans and gives logits as `NetworkEngine.logits` has them.

    Raises:
        ValueError: it does not.
        Exception: what ONNX Runtime raises where it can't run.
    """
    _check_declared(session, 28, {"logits": [10]})
    # What it declares is not what it does: of an output's shape ONNX Runtime only warns.
    for count in (1, 2):
        [logits] = session.run(["logits"], {"scans": np.zeros((count, 28, 28), np.uint8)})
        if logits.shape != (count, 10):
            raise ValueError(f"it gives logits {list(logits.shape)} for {count} scans")


def _is(one: onnxruntime.NodeArg, name: str, kind: str, shape: list[int]) -> bool:
    """Return whether an input or output is declared so, of any number of scans."""
    count, *declared = one.shape or [0]
    return (one.name, one.type, declared) == (name, kind, shape) and not isinstance(count, int)


def _shown(declared: Sequence[onnxruntime.NodeArg]) -> str:
    shown = (f"{one.name} {one.type} [{', '.join(map(str, one.shape))}]" for one in declared)
    return " and ".join(shown) or "nothing"


class Marks(NamedTuple):
    """What an ink network says of N scans."""

    chance: NDArray[np.float32]  # [N, 64, 64], that a pixel is handwriting
    written: NDArray[np.float32]  # [N], that there is any


class Answers(NamedTuple):
    """What a network or a cascade says of N scans."""

    probabilities: NDArray[np.float32]  # [N, 10], of each digit, if a scan shows one
    digit_score: NDArray[np.float32] | None  # [N], 0 to 1; None: not trained to tell

    def certainty(self) -> NDArray[np.float32]:
        """Return confidence times digit score, if there is one: float32 [N], 0 to 1."""
        certain: NDArray[np.float32] = self.probabilities.max(axis=1, initial=0)
        return certain if self.digit_score is None else certain * self.digit_score


def to_ask(small: Answers, hand_over: float, policy: Policy) -> NDArray[np.intp]:
    """Tell about which of N scans a cascade asks its large network: int [M].

    Args:
        small: what its small one says of them.
        hand_over: the certainty below which it is asked.
        policy: the cascade's; what it would send to review as no digit is asked about as well.
    """
    is_digit = policy.is_digit(or_unknown(small.digit_score, len(small.probabilities)))
    return np.flatnonzero((small.certainty() < hand_over) | ~is_digit)


def shifted(scans: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield normalized scans uint8 [N, 28, 28] moved by each of `SHIFTS`."""
    height, width = scans.shape[1:]
    for down, right in SHIFTS:
        moved = np.zeros_like(scans)
        moved[:, max(down, 0) : height + down, max(right, 0) : width + right] = scans[
            :, max(-down, 0) : height - down, max(-right, 0) : width - right
        ]
        yield moved


def or_unknown(values: NDArray[np.float32] | None, count: int) -> NDArray[np.float32]:
    """Return what a bundle says of N scans float32 [N], NaN where it says nothing."""
    return np.full(count, np.nan, np.float32) if values is None else values


def handed_over(small: Answers, asked: NDArray[np.intp], large: Answers) -> Answers:
    """Put the large network's answers in the place of the small one's where it was asked.

    Args:
        small: of N scans.
        asked: int [M], which of them the large one was asked about.
        large: of these M.
    """
    probabilities, digit_score = small.probabilities.copy(), small.digit_score
    probabilities[asked] = large.probabilities
    if digit_score is not None and large.digit_score is not None:
        digit_score = digit_score.copy()
        digit_score[asked] = large.digit_score
    return Answers(probabilities, digit_score)


def tempered(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return probabilities float32 [N, 10] as a temperature makes them of their logarithms."""
    return softmax(log_of(probabilities) / np.float32(temperature))


def log_of(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logarithms float32, of 0 too: that is of the least normal number."""
    logarithms: NDArray[np.float32] = np.log(np.maximum(probabilities, LEAST))
    return logarithms


def digit_score(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much scans look like one digit, 0 to 1: float32 [N], from logits float32 [N, 10].

    It is the share that the ten digits have of a softmax with an eleventh class for what shows
    none, whose logit is always 0. The network was trained so, on few scans without a digit and
    those drawn: a score to order scans by, no probability.
    """
    highest = np.maximum(logits.max(axis=1), 0)
    digits = np.exp(logits - highest[:, None]).sum(axis=1)
    score: NDArray[np.float32] = digits / (digits + np.exp(-highest))
    return score


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits float32 into probabilities, in their place."""
    np.negative(logits, out=logits)
    with np.errstate(over="ignore"):
        np.exp(logits, out=logits)
    logits += 1
    return np.reciprocal(logits, out=logits)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn logits float32 [N, 10] into probabilities of the same shape."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities
