"""A run folder: what one training run leaves, on this machine or behind a URI.

    recipe.json       the recipe, written first: it marks the folder as a run's
    checkpoints/      one an epoch, written by Ray Train, which resumes from them
    log.jsonl         one line an epoch
    train.log         what was said through `logging`
    tensorboard/      the same curves, for TensorBoard
    plots/            the pictures
    bundle/           the trained model; of an ink network `ink/`
    _lock             while a run is in the folder

All but the checkpoints is written on the driver's own disk. Behind a URI that is a temporary
folder, copied up after each epoch and at the end.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs

from digitrec.errors import InputError
from digitrec.storage.files import check_can_be_made, write_json
from digitrec.storage.folder import Folder, open_folder
from digitrec.storage.lock import LOCK, exclusive
from digitrec.training.ink_recipe import InkRecipe
from digitrec.training.recipes import Recipe

RECIPE, LOG, TEXT_LOG, BUNDLE = "recipe.json", "log.jsonl", "train.log", "bundle"
# These may differ in a resumed run: how long it is, and what is done after its last epoch.
FREE = ("epochs", "temperature", "min_digit_score", "reread_below", "reread")

AnyRecipe = Recipe | InkRecipe


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run's files go: `local` is the folder itself, or stands in for one behind a URI."""

    name: str  # as the user gave it
    path: str  # absolute, or within `filesystem`
    filesystem: fs.FileSystem | None  # None: this machine's
    local: Path
    target: Folder
    out: str  # what `target` was opened from
    resume: bool
    held: ExitStack  # what ends with the run: its lock

    def begin(self, recipe: AnyRecipe) -> Callable[[], None]:
        """Make the folder, keep other runs out of it, and mark it as a run of this recipe.

        Returns:
            A function to call now and then, which raises RunError if another run took over.

        Raises:
            InputError: another run is in the folder, or came before this one.
        """
        check_lock = self.held.enter_context(exclusive(self.target, self.out))
        if self.filesystem is None:
            self.held.callback(self.target.delete, LOCK)
        _check(self.target, recipe, resume=self.resume)
        if self.filesystem is not None:
            _fetch_logs(self.filesystem, self.path, self.local)
        (self.filesystem or fs.LocalFileSystem()).create_dir(self.path)
        write_json(self.local / RECIPE, asdict(recipe))
        self.publish()
        return check_lock

    def publish(self) -> None:
        """Copy what was written here up to the URI, if the folder lies behind one."""
        if self.filesystem is not None:
            fs.copy_files(
                str(self.local),
                self.path,
                source_filesystem=fs.LocalFileSystem(),
                destination_filesystem=self.filesystem,
            )


@contextmanager
def open_run_folder(out: str, recipe: AnyRecipe, *, resume: bool) -> Iterator[RunFolder]:
    """Check that a run can go to `out`, and give its folder; nothing is written before `begin`.

    Args:
        out: a folder of this machine, or a URI.
        recipe: what will be trained; resuming keeps to it, but for the number of epochs and how
            the bundle is calibrated.
        resume: go on with the run in `out`, if there is one.

    Raises:
        InputError: `out` can't be used, holds something else, or another run.
    """
    target = open_folder(out)
    _check(target, recipe, resume=resume)
    with ExitStack() as held:
        if target.remote is None:
            check_can_be_made(Path(target.path))
            local, filesystem = target.path, None
        else:
            temporary = tempfile.TemporaryDirectory(prefix="digitrec-run-")
            local, filesystem = held.enter_context(temporary), target.remote.filesystem
        yield RunFolder(
            target.name, target.path, filesystem, Path(local), target, out, resume, held
        )


def _check(target: Folder, recipe: AnyRecipe, *, resume: bool) -> None:
    """Refuse a folder that holds something else, or a run that is not the one to resume."""
    store = target.remote.filesystem if target.remote else fs.LocalFileSystem()
    try:
        _check_store(store, target.path, target.name, recipe, resume=resume)
    except OSError as why:
        raise InputError(f"the run folder {target.name} can't be used: {why}") from why


def _check_store(
    store: fs.FileSystem, path: str, out: str, recipe: AnyRecipe, *, resume: bool
) -> None:
    kind = store.get_file_info(path).type
    if kind == fs.FileType.File:
        raise InputError(f"the run folder {out} is a file: choose another --out")
    if kind == fs.FileType.NotFound:
        return
    if all(info.base_name == LOCK for info in store.get_file_info(fs.FileSelector(path))):
        return
    if store.get_file_info(f"{path}/{RECIPE}").type != fs.FileType.File:
        raise InputError(f"{out} holds something else than a run: choose another --out")
    if not resume:
        raise InputError(f"{out} holds a run already: go on with --resume, or choose another --out")
    with store.open_input_stream(f"{path}/{RECIPE}") as stream:
        content = stream.read()
    try:
        earlier = dict(json.loads(content))
    except (ValueError, TypeError) as why:
        raise InputError(f"{out}: {RECIPE} can't be used ({why}): choose another --out") from why
    if differing := _differing(earlier, recipe):
        raise InputError(
            f"{out} holds a run with other settings ({differing}): resume with the same ones"
        )


def _differing(earlier: dict[str, Any], recipe: AnyRecipe) -> str:
    """Name the settings of an earlier run that are not the recipe's, and what they were."""
    now = json.loads(json.dumps(asdict(recipe)))
    names = [name for name in {**earlier, **now} if name not in FREE]
    return ", ".join(
        f"{name} {earlier.get(name)}" for name in names if earlier.get(name) != now.get(name)
    )


def _fetch_logs(filesystem: fs.FileSystem, path: str, local: Path) -> None:
    for name in (LOG, TEXT_LOG):
        if filesystem.get_file_info(f"{path}/{name}").type == fs.FileType.File:
            with filesystem.open_input_stream(f"{path}/{name}") as stream:
                (local / name).write_bytes(stream.read())
