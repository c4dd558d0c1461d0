"""The columns that a reading has as a row, in results and in pipelines."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from pyarrow import compute

from digitrec.model.policy import ACCEPT, REVIEW
from digitrec.readings import BLANK, ERROR, Readings

# Of a classify result. New columns come at the end, and may be null.
SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("digit", pa.int8()),
        pa.field("confidence", pa.float32()),
        pa.field("probabilities", pa.list_(pa.float32(), 10)),
        pa.field("decision", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("digit_score", pa.float32()),
    ]
)
NOTES = pa.field("notes", pa.string())  # the last column, where it is asked for


def reading_columns(readings: Readings, *, with_notes: bool = False) -> pa.Table:
    """Return N readings as columns: those of `SCHEMA` but the path, null where nothing was read."""
    no_digit = ~readings.has_digit
    undecoded = readings.widths == 0
    probabilities = pa.FixedSizeListArray.from_arrays(
        pa.array(readings.probabilities.ravel()), 10, mask=pa.array(no_digit)
    )
    table = pa.table(
        [
            pa.array(readings.digits, mask=no_digit),
            pa.array(readings.confidences, mask=no_digit),
            probabilities,
            decision_array(readings.decisions),
            pa.array(readings.reasons, pa.string()),
            pa.array(readings.widths, mask=undecoded),
            pa.array(readings.heights, mask=undecoded),
            pa.array(readings.digit_score, mask=no_digit | np.isnan(readings.digit_score)),
        ],
        schema=pa.schema(list(SCHEMA)[1:]),
    )
    if not with_notes:
        return table
    return table.append_column(NOTES, pa.array(readings.notes, pa.string()))


def decision_array(decisions: Iterable[str]) -> pa.DictionaryArray:
    """Return decisions as the column of a result."""
    # The same dictionary in all parts and batches: some readers can't join columns of different
    # ones. Made here, since Arrow's first array brings pandas along, which takes half a second.
    known = pa.array([ACCEPT, REVIEW, BLANK, ERROR])
    named = pa.array(decisions, pa.string())
    return pa.DictionaryArray.from_arrays(compute.index_in(named, known), known)
