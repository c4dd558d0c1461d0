"""What each epoch of a run measured: to a JSON-lines file, to TensorBoard and to `logging`.

Ray Train's controller appends the lines; the driver, on the same machine, follows the file.
"""

import functools
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ray.train import Checkpoint, UserCallback

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

POLL_SECONDS = 0.2

log = logging.getLogger(__name__)


class Record(Protocol):
    """What an epoch of any kind of run measured: a frozen dataclass of numbers."""

    @property
    def epoch(self) -> int:
        """From 1."""

    def told(self, epochs: int) -> str:
        """Return a line that tells it, of a run of so many epochs."""

    def curves(self) -> dict[str, float]:
        """Return its points for TensorBoard, by the names of their curves."""


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """What one epoch measured; a line of `log.jsonl`."""

    epoch: int  # from 1
    train_loss: float  # mean over the epoch's images, as the weights changed
    test_loss: float  # mean over the test set, after the epoch
    test_accuracy: float  # share of the test set that was read right
    learning_rate: float
    seconds: float  # of training, without the evaluation
    images_per_second: float  # trained on, all workers together

    def told(self, epochs: int) -> str:
        """Return a line that tells it, of a run of so many epochs."""
        return (
            f"epoch {self.epoch}/{epochs}  train loss {self.train_loss:.4f}  "
            f"test loss {self.test_loss:.4f}  test accuracy {100 * self.test_accuracy:.2f} %  "
            f"{self.seconds:.1f} s  {self.images_per_second:.0f} images/s"
        )

    def curves(self) -> dict[str, float]:
        """Return its points for TensorBoard, by the names of their curves."""
        return {
            "loss/train": self.train_loss,
            "loss/test": self.test_loss,
            "accuracy/test": self.test_accuracy,
            "learning_rate": self.learning_rate,
            "speed/seconds": self.seconds,
            "speed/images_per_second": self.images_per_second,
        }


class EpochWriter(UserCallback):
    """Appends rank 0's record of every epoch to a file, from Ray Train's controller."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None
    ) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics[0]) + "\n")


def parse_records(content: str) -> list[EpochRecord]:
    """Read a `log.jsonl`, of a run that may still be writing its last line."""
    *lines, _ = content.split("\n")
    return [EpochRecord(**json.loads(line)) for line in lines]


def write_records(path: Path, records: Sequence[Any]) -> None:
    """Write a `log.jsonl` anew, of records of one kind."""
    lines = "".join(json.dumps(asdict(record)) + "\n" for record in records)
    path.write_text(lines, "utf-8")


@contextmanager
def following(path: Path, kind: type[R], on_record: Callable[[R], None]) -> Iterator[None]:
    """Call `on_record` for every record that `path` gains during the block, from a thread."""
    path.touch()
    stop = threading.Event()
    with path.open(encoding="utf-8") as file:
        file.seek(0, 2)

        def follow() -> None:
            unfinished = ""
            while True:
                last_look = stop.wait(POLL_SECONDS)
                *lines, unfinished = (unfinished + file.read()).split("\n")
                for line in lines:
                    on_record(kind(**json.loads(line)))
                if last_look:
                    return

        thread = threading.Thread(target=follow, name="epoch-log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def announcing(folder: Path, epochs: int) -> Iterator[Callable[[Record], None]]:
    """Yield a function that writes a record to TensorBoard (x axis: epoch) and to `logging`."""
    with ExitStack() as stack:

        @functools.cache
        def board() -> "SummaryWriter":
            # Imported on the first epoch's end: it takes seconds, and the workers train meanwhile.
            from torch.utils.tensorboard import SummaryWriter

            writer: SummaryWriter = stack.enter_context(SummaryWriter(str(folder)))
            return writer

        def announce(record: Record) -> None:
            log.info("%s", record.told(epochs))
            for name, value in record.curves().items():
                board().add_scalar(name, value, record.epoch)
            board().flush()

        yield announce
