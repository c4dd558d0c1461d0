"""How fast `digitrec classify` is: beside the same work without Ray, and beside the usual ways.

    python -m tests.benchmarks.classify_speed

The same files, made from MNIST, are read by five programs, one after the other, each a process of
its own that is timed as a whole: a bare loop over the package's own functions, one process a CPU;
`digitrec classify`; Ray Data's own idiom (`read_images`, an actor, `write_parquet`); Daft's
(`from_glob_path`, `decode_image`, a class, `write_parquet`); torchvision's ImageFolder with torch's
DataLoader. The last three resize to 28×28 and do not normalize. All files are read once before, so
that all five find them in the page cache. Each result is held against the files: a row each, and
how many digits are right.

The files are PNGs of 28×28 as MNIST has them, and PNGs and JPEGs of 95×95, where decoding is most
of the work. Daft wants an older pyarrow than others may: the variable DAFT_PYTHON names an
interpreter that has it (`python -m venv E && E/bin/pip install daft numpy onnxruntime`, then
`DAFT_PYTHON=E/bin/python`). Where there is none, Daft is left out, and the output says why.

`overall` is images by the whole process's seconds, Python's own start included. `steady` is that
of `digitrec.batch.stats.speed`: all rows but each worker's first part (batch), from the end of the
first part to the end of the last; what the idiom has read ahead by then counts for it. The bare
loop warms up before its first chunk instead, and its steady is the sum of its processes' rates.
`first` is from the command's start to the end of the first part (batch). `peak` is the memory of a
program and all that it started, sampled once a second, without shared memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray
from pyarrow import parquet

from digitrec.batch.stats import Span, Stats, speed
from digitrec.datasets import mnist
from digitrec.model.bundle import ONNX, WEIGHTS
from digitrec.model.shipped import SHIPPED

CPUS = os.cpu_count() or 1
BARE, DIGITREC, IDIOM, LOADER = "bare loop", "digitrec", "Ray Data idiom", "DataLoader"
DAFT, RAY_INIT = "Daft", "bare ray.init"
RATIOS = (
    ("steady", BARE), ("steady", IDIOM), ("steady", DAFT),
    ("overall", IDIOM), ("overall", DAFT), ("overall", LOADER),
)  # fmt: skip
DAFT_PYTHON = os.environ.get("DAFT_PYTHON", sys.executable)
FULL, MILLION = 300_000, 1_000_000
SAMPLE_SECONDS = 1.0
SETTLE_SECONDS = 2.0  # what one program leaves to clean up must not slow the next
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
ENVIRONMENT["RAY_USAGE_STATS_ENABLED"] = "0"
FROM = "extrapolated_from"
Run = dict[str, Any]  # a program's figures at one size


@dataclass(frozen=True)
class Form:
    """What the files are like: side × side pixels, and the files' ending, which says the format."""

    side: int
    ending: str

    def __str__(self) -> str:
        return f"{self.side}{self.ending}"

    def encoded(self, image: NDArray[np.uint8]) -> bytes:
        """Encode one of MNIST's images, enlarged if need be."""
        if self.side != image.shape[0]:
            image = cv2.resize(image, (self.side, self.side), interpolation=cv2.INTER_CUBIC)
        return cv2.imencode(self.ending, image)[1].tobytes()


MNISTS = Form(28, ".png")
FORMS = {str(form): form for form in (MNISTS, Form(95, ".png"), Form(95, ".jpg"))}
Plan = dict[tuple[Form, int], list[str]]  # which programs read how many files of which form

BARE_LOOP = """
import json, multiprocessing, sys, time
from digitrec.batch.parts import part_table, write_part
from digitrec.batch.stats import stats_of
from digitrec.model.bundle import load_bundle
from digitrec.model.engine import open_engine
from digitrec.pipeline import read_contents
from digitrec.inputs.fetch import contents
from digitrec.inputs.listing import list_inputs
from digitrec.storage.folder import open_folder
CHUNK, WARM_UP = 4096, 256
scans, out, workers = sys.argv[1], open_folder(sys.argv[2]), int(sys.argv[3])

def work(number):
    engine = open_engine(load_bundle("small"))
    mine = paths[number * share : (number + 1) * share]
    read_contents(contents(mine[:WARM_UP]), len(mine[:WARM_UP]), engine)
    spans = []
    for k in range(0, len(mine), CHUNK):
        began, chunk = time.time(), mine[k : k + CHUNK]
        readings = read_contents(contents(chunk), len(chunk), engine)
        table = part_table(chunk, readings)
        stats = stats_of(table, readings.looks(), 0, 0, {})
        write_part(out, 10_000 * number + k // CHUNK, table, stats, {})
        spans.append((f"process {number}", began, time.time(), len(chunk)))
    return spans

paths = list_inputs([scans]).paths
share = -(-len(paths) // workers)
with multiprocessing.get_context("fork").Pool(workers) as pool:
    print(json.dumps(sum(pool.map(work, range(workers), chunksize=1), [])))
"""

# An actor of one CPU, blocks as Ray Data cuts them: an actor that leaves its CPU to the reads
# (num_cpus=0.1), one to two actors, and batches of 256 were no faster on two cores. Each row says
# when its batch was in work, and where.
RAY_IDIOM = """
import os, sys, time
import numpy as np, onnxruntime, ray, ray.data
scans, out, model, cpus = *sys.argv[1:4], int(sys.argv[4])

class Classify:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options)

    def __call__(self, batch):
        began = time.time()
        [logits] = self.session.run(["logits"], {"scans": batch.pop("image")})
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        batch["probabilities"] = powers / powers.sum(axis=1, keepdims=True)
        batch["digit"] = logits.argmax(axis=1).astype(np.int8)
        span = {"worker": os.getpid(), "began": began, "ended": time.time()}
        return batch | {name: np.full(len(logits), value) for name, value in span.items()}

quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
ray.init(address="local", num_cpus=cpus, **quiet)
ray.data.DataContext.get_current().enable_progress_bars = False
images = ray.data.read_images(scans, mode="L", size=(28, 28), include_paths=True)
images.map_batches(Classify, concurrency=1, num_cpus=1).write_parquet(out)
"""

# Daft decodes in threads of its own, and calls the class in as many processes as there are CPUs.
DAFT_IDIOM = """
import os, sys, time
import daft, numpy as np, onnxruntime
from daft import DataType, Series, col
scans, out, model, cpus = *sys.argv[1:4], int(sys.argv[4])
ROW = {
    "probabilities": DataType.list(DataType.float32()), "digit": DataType.int8(),
    "worker": DataType.int64(), "began": DataType.float64(), "ended": DataType.float64(),
}

@daft.cls(max_concurrency=cpus, use_process=True)
class Classify:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options)

    @daft.method.batch(return_dtype=DataType.struct(ROW), batch_size=1024)
    def __call__(self, images: Series):
        began, scans = time.time(), np.stack(images.to_pylist()).reshape(-1, 28, 28)
        [logits] = self.session.run(["logits"], {"scans": scans})
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = (powers / powers.sum(axis=1, keepdims=True)).tolist()
        span = {"worker": os.getpid(), "began": began, "ended": time.time()}
        digits = logits.argmax(axis=1).tolist()
        return [{"probabilities": p, "digit": d, **span} for p, d in zip(probabilities, digits)]

images = daft.from_glob_path(scans + "/*/*").select("path")
images = images.with_column("image", col("path").download().decode_image(mode="L").resize(28, 28))
rows = images.select("path", Classify()(col("image")).alias("row"))
rows.select("path", *(col("row")[name].alias(name) for name in ROW)).write_parquet(out)
os._exit(0)  # Python's own end meets Daft's threads now and then, and crashes
"""

# torch has one thread: the loader's workers keep the CPUs busy.
DATA_LOADER = """
import json, sys, time
import pyarrow, torch
from pyarrow import parquet
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from digitrec.model.network import MNIST_MEAN, MNIST_STD, DigitNet
torch.set_num_threads(1)
scans, out, weights, workers = *sys.argv[1:4], int(sys.argv[4])
network = DigitNet().eval()
network.load_state_dict(torch.load(weights)["state_dict"])
dataset = ImageFolder(scans, transform=transforms.Compose([
    transforms.Grayscale(), transforms.Resize((28, 28)), transforms.ToTensor(),
    transforms.Normalize([MNIST_MEAN], [MNIST_STD]),
]))
digits, probabilities, spans, began = [], [], [], time.time()
with torch.inference_mode():
    for images, _ in DataLoader(dataset, batch_size=256, num_workers=workers):
        predicted = network(images).softmax(dim=1)
        digits += predicted.argmax(dim=1).tolist()
        probabilities += predicted.tolist()
        spans.append(("main", began, time.time(), len(images)))
        began = time.time()
rows = {"path": [path for path, _ in dataset.samples], "digit": digits}
rows = pyarrow.table(rows | {"probabilities": probabilities})
parquet.write_table(rows, out + "/predictions.parquet", compression="zstd")
print(json.dumps(spans))
"""

# With the settings of digitrec's own session, which starts faster than one with a dashboard.
EMPTY_SESSION = """
import json, ray, time
start = time.perf_counter()
ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
ready = time.perf_counter()
ray.shutdown()
print(json.dumps({"init": ready - start, "shutdown": time.perf_counter() - ready}))
"""


def python(*arguments: object, interpreter: str = sys.executable) -> tuple[str, Run]:
    """Run a Python program; give what it printed, when it began, how long it took, its peak."""
    time.sleep(SETTLE_SECONDS)
    command = [interpreter, *map(str, arguments)]
    pipe = subprocess.PIPE
    began, start, peak = time.time(), time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT) as process:
        while True:
            try:
                printed, errors = process.communicate(timeout=SAMPLE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, tree_mb(process.pid))
    elapsed = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{' '.join(command)[:200]} … failed:\n{errors[-3000:]}")
    return printed, {"began": began, "elapsed": elapsed, "peak_mb": peak}


def tree_mb(pid: int) -> float:
    """MB of a process and all below it: Ray's workers are the raylet's, and that is the driver's.

    Of pages that several processes map, each counts its share (PSS); shared memory, where Ray's
    object store lies, does not count.
    """
    kib, process = 0, psutil.Process(pid)
    for each in [process, *process.children(recursive=True)]:
        with suppress(OSError):  # it has ended
            text = Path(f"/proc/{each.pid}/smaps_rollup").read_text()
            sizes = dict(line.split()[:2] for line in text.splitlines()[1:])
            kib += int(sizes["Pss:"]) - int(sizes["Pss_Shmem:"])
    return kib * 1024 / 1e6


def with_spans(run: Run, spans: list[Span]) -> Run:
    """Add to a run what its parts or batches tell."""
    rows = sum(span[3] for span in spans)
    told = speed(Stats(rows=rows, seconds={"all": 0.0}, spans=spans), run["began"], time.time())
    return {**run, "steady": told["steady_images_per_second"], "first": told["first_part"]}


def bare_loop(scans: Path, out: Path) -> Run:
    """What digitrec does, in as many processes as there are CPUs, without Ray."""
    printed, run = python("-c", BARE_LOOP, scans, out, CPUS)
    spans, steady = sorted(json.loads(printed)), 0.0
    for _, own in groupby(spans, key=lambda span: span[0]):
        _, begins, ends, counts = zip(*own, strict=True)
        steady += sum(counts) / (ends[-1] - begins[0])
    return {**with_spans(run, spans), "steady": steady}


def digitrec(scans: Path, out: Path) -> Run:
    """Run the command itself; `told` is the JSON that it prints."""
    options = ("--model", "small", "--out", out, "--quiet", "--json")
    printed, run = python("-m", "digitrec.cli", "classify", scans, *options)
    told = json.loads(printed)
    # Its own clock begins after Python's start and the imports: the first part's file tells all.
    first = min(part.stat().st_mtime for part in out.glob("part-*.parquet")) - run["began"]
    return {**run, "steady": told["steady_images_per_second"], "first": first, "told": told}


def ray_idiom(scans: Path, out: Path) -> Run:
    """Read and classify images as Ray Data's guide does."""
    _, run = python("-c", RAY_IDIOM, scans, out, SHIPPED["small"] / ONNX, CPUS)
    return with_spans(run, spans_of_rows(out))


def daft(scans: Path, out: Path) -> Run:
    """Read and classify images as Daft's guide does."""
    program = ("-c", DAFT_IDIOM, scans, out, SHIPPED["small"] / ONNX, CPUS)
    _, run = python(*program, interpreter=DAFT_PYTHON)
    return with_spans(run, spans_of_rows(out))


def spans_of_rows(out: Path) -> list[Span]:
    """Put together the batches of a result whose rows each say when and where theirs was read."""
    columns = ["worker", "began", "ended"]
    batches = parquet.read_table(out, columns=columns).group_by(columns)
    spans = batches.aggregate([([], "count_all")]).select([*columns, "count_all"]).to_pylist()
    return [tuple(span.values()) for span in spans]


def data_loader(scans: Path, out: Path) -> Run:
    """Classify as torch programs usually do."""
    printed, run = python("-c", DATA_LOADER, scans, out, SHIPPED["small"] / WEIGHTS, CPUS)
    batches = json.loads(printed)
    # Each worker reads two batches ahead while torch warms up: these are one part, the first.
    head, rest = batches[: 2 * CPUS + 1], batches[2 * CPUS + 1 :]
    warm_up = ("main", head[0][1], head[-1][2], sum(batch[3] for batch in head))
    return {**with_spans(run, [warm_up, *rest]), "first": head[0][2] - run["began"]}


PROGRAMS = {BARE: bare_loop, DIGITREC: digitrec, IDIOM: ray_idiom, DAFT: daft, LOADER: data_loader}


def measured(name: str, scans: Path, size: int) -> Run:
    """Run a program and hold its result against the files; a bare session of Ray has none."""
    if name == RAY_INIT:
        printed, run = python("-c", EMPTY_SESSION)
        return {"program": name, **run, **json.loads(printed)}
    with tempfile.TemporaryDirectory() as folder:
        run = PROGRAMS[name](scans, Path(folder))
        rows = parquet.read_table(folder, columns=["path", "digit"])
    paths = rows.column("path").to_pylist()
    if not len(paths) == len(set(paths)) == size:
        sys.exit(f"{name} gave {len(paths)} rows for {size} files")
    labels = np.array([int(Path(path).parent.name) for path in paths])
    right = float((rows.column("digit").to_numpy() == labels).mean())
    return {"program": name, "overall": size / run["elapsed"], "right": right, **run}


def extrapolated(size: int, run: Run) -> Run:
    """Say what the idiom would take for more images than in `run`, at its steady rate."""
    elapsed = run["elapsed"] + (size - run["size"]) / run["steady"]
    rates = {"overall": size / elapsed, "steady": run["steady"]}
    told = {"form": run["form"], "size": size, "program": IDIOM, FROM: run["size"]}
    return {**told, "elapsed": elapsed, **rates}


def make_scans(folder: Path, size: int, form: Form) -> Path:
    """Write MNIST's 70,000 images, over and over, into class folders, unless they are there."""
    scans, unfinished = folder / f"{size}-{form}", folder / f"{size}-{form}.unfinished"
    if not scans.exists():
        splits = (mnist.load("train"), mnist.load("test"))
        pairs = (pair for split in splits for pair in zip(*split, strict=True))
        files = [(str(label), form.encoded(image)) for image, label in islice(pairs, size)]
        for digit in range(10):
            (unfinished / str(digit)).mkdir(parents=True, exist_ok=True)
        for k in range(size):
            label, content = files[k % len(files)]
            (unfinished / label / f"{k:07d}{form.ending}").write_bytes(content)
        unfinished.rename(scans)
        os.sync()
    for path in scans.glob("*/*"):  # into the page cache
        path.read_bytes()
    return scans


def run_all(folder: Path, plan: Plan) -> list[Run]:
    """Run each size's programs, and a bare Ray session; print a line as each ends."""
    runs: list[Run] = []
    for (form, size), names in plan.items():
        scans = make_scans(folder, size, form)
        for name in names:
            runs.append({"form": str(form), "size": size, **measured(name, scans, size)})
            show(runs[-1])
        idiom = [run for run in runs if run["program"] == IDIOM and run["steady"]]
        if size == FULL and idiom:
            runs.append(extrapolated(size, idiom[-1]))
            show(runs[-1])
    return runs


def show(run: Run) -> None:
    """Print a run's line of the table."""
    formats = {"overall": ",.0f", "steady": ",.0f", "first": ".2f", "elapsed": ".2f"}
    formats |= {"right": ".2%", "peak_mb": ",.0f"}
    cells = (format(run[key], form) if run.get(key) else "–" for key, form in formats.items())
    note = f"   extrapolated from {run[FROM]:,}" if FROM in run else ""
    line = f"{run['size']:>9,} {run['form']:>7}  {run['program']:<14}"
    line += "".join(f"{cell:>11}" for cell in cells)
    print(line + note, flush=True)


def compared(runs: list[Run], form: Form, size: int) -> Run:
    """Set digitrec beside the others at one size; print it."""
    of_these = [run for run in runs if (run["form"], run["size"]) == (str(form), size)]
    at = {run["program"]: run for run in of_these}
    ours, empty, told = at[DIGITREC], at[RAY_INIT], at[DIGITREC]["told"]
    result: Run = {"form": str(form), "size": size}
    print(f"{size:,} of {form}: digitrec")
    for kind, name in RATIOS:
        if name in at and at[name][kind] and ours[kind]:
            result[f"{kind} / {name}"] = ratio = ours[kind] / at[name][kind]
            print(f"  {kind:<8}{ratio:6.2f} x {name}{' (extrapolated)' * (FROM in at[name])}")
    result["first - init"] = more = ours["first"] - empty["init"]
    print(f"  first   {ours['first']:6.2f} s = ray.init {empty['init']:.2f} s {more:+.2f} s")
    start_up, first = told["seconds"]["start-up"], told["first_part"]
    print(f"          by its own clock: start-up {start_up:.2f} s, first part {first:.2f} s")
    return result


def why_no_daft() -> str:
    """Say why Daft can't be run; nothing where it can."""
    command = [DAFT_PYTHON, "-c", "import daft, numpy, onnxruntime"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as why:
        return str(why)
    return answer.stderr.strip().splitlines()[-1] if answer.returncode else ""


def main() -> None:
    """Make the files, run the programs, print the table and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    option = parser.add_argument
    option("--sizes", type=int, nargs="*", default=[10_000, 60_000], metavar="N")
    option("--forms", nargs="*", choices=FORMS, default=[*FORMS], help="of the files; default: all")
    option("--full", action="store_true", help=f"also {FULL:,}; the idiom's are extrapolated")
    option("--million", action="store_true", help=f"also {MILLION:,}, bare loop and digitrec only")
    option("--folder", type=Path, help="keep the files there, and use them again")
    option("--json", type=Path, help="also write everything there")
    options = parser.parse_args()
    others = [IDIOM, LOADER, DAFT]
    if missing := why_no_daft():
        others.remove(DAFT)
        print(f"without Daft: {missing}")
    plan: Plan = {
        (FORMS[form], size): [BARE, DIGITREC, RAY_INIT, *others]
        for form in options.forms
        for size in sorted(options.sizes)
    }
    if options.full:
        plan[MNISTS, FULL] = [BARE, DIGITREC, RAY_INIT, *others[1:]]
    if options.million:
        plan[MNISTS, MILLION] = [BARE, DIGITREC, RAY_INIT]
    titles = ("overall/s", "steady/s", "first s", "in all s", "right", "peak MB")
    print(
        f"{'images':>9} {'form':>7}  {'program':<14}",
        *(f"{title:>10}" for title in titles),
        flush=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        runs = run_all((options.folder or Path(temporary)).absolute(), plan)
    ratios = [compared(runs, form, size) for form, size in plan]
    if options.json:
        figures = {"cpus": CPUS, "runs": runs, "ratios": ratios}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
