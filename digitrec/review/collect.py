"""People's answers → corrections, a corrected result, an audit's answers, a page of the rest."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from digitrec.batch.audit import sample_of
from digitrec.batch.result import Fetched, Place, Result, fetched, open_result
from digitrec.datasets.answers import Drawn, write_sample
from digitrec.errors import InputError, ScanError
from digitrec.review.agree import Agreed, Settled, agreed, located, located_in_sample
from digitrec.review.corrected import check_corrected, write_corrected
from digitrec.review.corrections import Correction, check_out, write_corrections
from digitrec.review.exports import Answer, Given, Refused, read_exports
from digitrec.review.items import Row, digest_of, make_items, read_rows, sample_items
from digitrec.review.make import origin_of, write_page

DEFAULT_OUT = "corrections.csv"


@dataclass(slots=True)
class Collected:
    """What came of the answers."""

    result: str
    sample: str | None  # the folder of the sample that has the answers now
    confirmed: int = 0
    corrected: dict[str, int] = field(default_factory=dict)  # `3 → 8`, `- → 5`: how many
    open: list[str] = field(default_factory=list)  # scans that are not settled, and who says what
    refused: list[Refused] = field(default_factory=list)
    corrections: str | None = None  # the file
    corrected_result: str | None = None  # the folder
    rest: str | None = None  # the page

    @property
    def settled(self) -> int:
        """How many scans are settled."""
        return self.confirmed + sum(self.corrected.values())


def collect(
    exports: Sequence[str],
    *,
    out: str | None = None,
    location: str | None = None,
    sample: Path | None = None,
    corrected: str | None = None,
    rest: str | None = None,
) -> Collected:
    """Collect what people exported: check it, and write what follows from it.

    Args:
        exports: a page's CSVs or saved progresses, or Label Studio's JSON.
        out: the table of corrections, .csv or .parquet; None: DEFAULT_OUT, of a sample none.
        location: the result that they speak of; None: as they say.
        sample: the sample's folder; None: as they say.
        corrected: a new folder for a copy of the result with the answers beside.
        rest: a page of what is not settled, if there is anything.

    Raises:
        InputError: an export, the result or the sample can't be used, or no answer can.
    """
    given = read_exports(exports)
    location = location or _only(given, "result")
    result = open_result(location)
    folder = str(sample) if sample else _only(given, "sample", optional=True)
    out = out or (None if folder else DEFAULT_OUT)
    if out is not None:
        check_out(out)
    if corrected is not None:
        check_corrected(result, corrected)
    drawn = sample_of(result, Path(folder))[1] if folder else []
    found = _agreed(result, drawn, given)
    if not found.settled and not found.open:
        raise _nothing(found.refused)
    rows = read_rows(result, [*found.settled, *found.open])
    collected = Collected(location, folder or None, refused=found.refused)
    _count(collected, found, rows)
    if out is not None and found.settled:
        write_corrections(out, _corrections(result, found.settled, rows))
        collected.corrections = out
    if corrected is not None:
        write_corrected(result, found.settled, corrected)
        collected.corrected_result = corrected
    if drawn:
        _fill(Path(folder), drawn, found.settled)
    if rest is not None and found.open:
        _write_rest(result, collected, drawn, found, rest)
    return collected


def _nothing(refused: Sequence[Refused]) -> InputError:
    if not refused:
        return InputError("no answer can be used: the exports have none")
    return InputError(f"no answer can be used: {refused[0].where}: {refused[0].why}")


def _only(given: Given, what: str, *, optional: bool = False) -> str:
    """Return the one result, or sample, that all answers speak of.

    Raises:
        InputError: they speak of none, or of several.
    """
    named = sorted({getattr(answer, what) for answer in given.answers})
    if len(named) > 1:
        raise InputError(
            f"the answers are of more than one {what} ({', '.join(one or 'none' for one in named)})"
            ": collect those of each by themselves"
        )
    if not optional and not any(named):
        if not given.answers:
            raise _nothing(given.refused)
        raise InputError(f"the answers do not say of which {what} they are: name it with --{what}")
    return named[0] if named else ""


def _agreed(result: Result, drawn: Sequence[Drawn], given: Given) -> Agreed:
    if drawn:
        placed, lost = located_in_sample(drawn, given.answers)
    else:
        placed, lost = located(result, given.answers)
    found = agreed(placed)
    found.refused[:0] = given.refused + lost
    _leave_out_changed(result, found)
    return found


def _leave_out_changed(result: Result, found: Agreed) -> None:
    """Refuse the answers to scans that are not what people saw, or can't be had any more."""
    for scan in fetched(result, list(found.settled)):
        seen = found.settled[scan.place].digests
        if isinstance(scan.content, ScanError):
            why = str(scan.content)
        elif seen - {digest_of(scan.content)}:
            why = "it is another scan than the one that was answered"
        else:
            continue
        del found.settled[scan.place]
        found.refused.append(Refused(scan.shown, why))


def _count(collected: Collected, found: Agreed, rows: Mapping[Place, Row]) -> None:
    kinds: Counter[str] = Counter()
    for place, one in found.settled.items():
        predicted = rows[place].predicted
        if one.label == predicted:
            collected.confirmed += 1
        else:
            kinds[f"{predicted or '-'} → {one.label}"] += 1
    collected.corrected = dict(kinds.most_common())
    collected.open = [_words(rows[place].path, answers) for place, answers in found.open.items()]


def _words(path: str, answers: Sequence[Answer]) -> str:
    said = dict.fromkeys(f"{one.reviewer or 'somebody'} says {one.label}" for one in answers)
    return f"{path}: {', '.join(said)}"


def _corrections(
    result: Result, settled: Mapping[Place, Settled], rows: Mapping[Place, Row]
) -> Iterator[Correction]:
    for scan in fetched(result, list(settled)):
        yield _correction(scan, settled[scan.place], rows[scan.place], result.run["model_id"])


def _correction(scan: Fetched, said: Settled, row: Row, model: str) -> Correction:
    if isinstance(scan.content, ScanError):
        raise InputError(f"{scan.shown} has gone since it was checked: {scan.content}")
    is_text = scan.path is not None and scan.path == scan.path.encode("utf-8", "replace").decode()
    return Correction(
        path=scan.path if scan.path is not None and is_text else scan.shown,
        label=said.label,
        group=None,
        model=model,
        predicted=row.predicted or None,
        confidence=row.confidence,
        reviewer=said.reviewer or None,
        time=said.time or None,
        content=scan.content,
        is_packed=not is_text,
    )


def _fill(folder: Path, drawn: Sequence[Drawn], settled: Mapping[Place, Settled]) -> None:
    """Write the answers into a sample; those it has of other scans stay."""
    filled = [
        replace(row, label=one.label) if (one := settled.get((row.part, row.row))) else row
        for row in drawn
    ]
    write_sample(folder, filled)


def _write_rest(
    result: Result, collected: Collected, drawn: Sequence[Drawn], found: Agreed, out: str
) -> None:
    """Write a page of what is not settled."""
    if drawn and collected.sample:
        folder = Path(collected.sample)
        items = sample_items(folder, [row for row in drawn if (row.part, row.row) in found.open])
        origin = origin_of(result, collected.result, folder)
    else:
        items, missing = make_items(result, list(found.open))
        collected.refused += [Refused(out, why) for why in missing]
        origin = origin_of(result, collected.result)
    if items:
        write_page(origin, items, out)
        collected.rest = out
