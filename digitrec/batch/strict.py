"""`--strict`: nothing is accepted where the error budget's claim is not supported by the scans.

That is known when all parts are there. Their rows are changed then, and changed back if more scans
that came later support the claim; whatever breaks off, the next call goes on from there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
from pyarrow import compute

from digitrec.batch.parts import Identity, numbers_of, part_name, read_file, write_part
from digitrec.batch.stats import Stats, stats_of
from digitrec.model.policy import ACCEPT, NOT_SUPPORTED, REVIEW
from digitrec.schema import decision_array
from digitrec.storage.folder import Folder

THREADS = 8
REASON = f"{NOT_SUPPORTED}: the error budget was certified on scans that look otherwise"


def settle(
    folder: Folder, identity: Identity, *, supported: bool, check: Callable[[], None]
) -> Stats:
    """Accept what the policy accepts where the claim is supported, and nothing where it is not.

    Args:
        folder: the run's.
        identity: whose its parts are.
        supported: whether the claim is.
        check: raises where the folder is another run's by now.

    Returns:
        The stats of all parts as they are then.
    """
    total = Stats()
    with ThreadPoolExecutor(THREADS) as pool:
        numbers = sorted(numbers_of(folder, "part"))
        for part in pool.map(
            lambda number: _settle_part(folder, identity, number, supported, check), numbers
        ):
            total.add(part)
    return total


def _settle_part(
    folder: Folder, identity: Identity, number: int, supported: bool, check: Callable[[], None]
) -> Stats:
    told, rows = read_file(folder, part_name(number))
    changed = _settled(rows, supported)
    if changed is None:
        return told.stats
    old = told.stats
    stats = stats_of(changed, told.looks, old.first_frames, old.looked, old.seconds)
    stats.spans = old.spans
    check()
    write_part(folder, number, changed, stats, identity, told.stamps.tolist(), told.looks)
    return stats


def _settled(rows: pa.Table, supported: bool) -> pa.Table | None:
    """Return a part's rows as they are to be; None where they are so."""
    decisions = rows["decision"].cast(pa.string())
    ours = compute.fill_null(compute.starts_with(rows["reason"], NOT_SUPPORTED + ":"), False)
    which = ours if supported else compute.equal(decisions, ACCEPT)
    if not compute.any(which).as_py():
        return None
    decision = compute.if_else(which, ACCEPT if supported else REVIEW, decisions)
    reason = compute.if_else(
        which, pa.scalar(None if supported else REASON, pa.string()), rows["reason"]
    )
    place = rows.schema.get_field_index
    table = rows.set_column(
        place("decision"), rows.schema.field("decision"), decision_array(decision.to_pylist())
    )
    return table.set_column(place("reason"), rows.schema.field("reason"), reason)
