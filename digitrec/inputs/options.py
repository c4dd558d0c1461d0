"""What the user may say of the inputs beside their names."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class InputOptions:
    """How inputs are taken."""

    follow_links: bool = True  # go on behind links in folders; without, they are left out
    path_column: str | None = None  # of lists; None: the first of `rows.PATH_COLUMNS`
    content_column: str | None = None  # of Parquet with images inside; None: see `shard_columns`


DEFAULT_OPTIONS = InputOptions()
