"""What `train --data` names: MNIST, labelled sets, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digitrec.datasets import mnist
from digitrec.errors import InputError

MNIST = "mnist:train"


@dataclass(frozen=True, slots=True)
class Sources:
    """What a run learns from, as the user says it."""

    folder: Path | None = None  # with MNIST's four files; None: the cache
    labelled: tuple[str, ...] = ()
    mnist: bool = True  # beside these; False: they take its place


def sources_of(names: Sequence[str]) -> Sources:
    """Tell MNIST from labelled sets among what `--data` names.

    Args:
        names: a folder with MNIST's four files, `mnist:train`, and labelled sets as
            `load_labelled` takes them; none: MNIST.

    Raises:
        InputError: MNIST is named in parts, or twice.
    """
    folders = [name for name in names if mnist.is_in(Path(name))]
    labelled = tuple(dict.fromkeys(one for one in names if one not in (MNIST, *folders)))
    for name in labelled:
        if name.startswith("mnist:"):
            raise InputError(f"--data {name}: of MNIST only {MNIST} is trained on")
    if len(folders) > 1:
        raise InputError(f"--data names MNIST's files twice: {' and '.join(folders)}")
    return Sources(
        folder=Path(folders[0]) if folders else None,
        labelled=labelled,
        mnist=not labelled or bool(folders) or MNIST in names,
    )
