import codecs
import os
from collections.abc import Sequence
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from digitrec.errors import InputError, ScanError
from digitrec.inputs import shards
from digitrec.inputs.fetch import contents
from digitrec.inputs.listing import list_inputs
from digitrec.inputs.options import InputOptions
from digitrec.inputs.shards import row_contents, shard_schema
from digitrec.inputs.tables import stream_table
from digitrec.inputs.units import Found
from digitrec.inputs.walk import BATCH
from digitrec.storage import uris

LISTS = ["txt", "csv", "parquet"]


def write_list(file: Path, paths: Sequence[str]) -> str:
    """Write paths as a list, of the kind that the ending says."""
    if file.suffix == ".txt":
        file.write_text("".join(f"{path}\n" for path in paths))
    elif file.suffix == ".csv":
        csv.write_csv(pa.table({"number": range(len(paths)), "path": paths}), file)
    else:
        parquet.write_table(pa.table({"path": paths, "number": range(len(paths))}), file)
    return str(file)


def write_shard(file: Path, scans: dict[str, bytes | str], row_group: int = 2) -> str:
    """Write a shard; a text stands for the reason why a member has no bytes."""
    contents = [content if isinstance(content, bytes) else None for content in scans.values()]
    reasons = [content if isinstance(content, str) else None for content in scans.values()]
    table = pa.table([list(scans), contents, reasons], schema=shard_schema())
    parquet.write_table(table, file, row_group_size=row_group, compression="none")
    return str(file)


def listed(table: str) -> list[str]:
    """Give the paths of a list, in its order."""
    found = list(stream_table(table))
    assert {one.shard for one in found} <= {None}
    return [path for one in found for path in one.paths]


def failed(found: Found) -> set[str]:
    """Give the reasons of rows that can't be read at all."""
    errors = list(row_contents(found, stamps=(stamps := [])))
    assert len(errors) == len(found)
    assert stamps == [0] * len(found)
    assert all(isinstance(error, ScanError) and error.outage for error in errors)
    return {str(error) for error in errors}


@pytest.mark.parametrize("ending", LISTS)
def test_a_list_is_relative_to_its_folder(tmp_path: Path, ending: str) -> None:
    paths = ["a.png", "deep/b.png", "/other/c.png", "s3://bucket/d.png"]
    expected = [f"{tmp_path}/a.png", f"{tmp_path}/deep/b.png", "/other/c.png", "s3://bucket/d.png"]
    assert listed(write_list(tmp_path / f"list.{ending}", paths)) == expected


@pytest.mark.parametrize("ending", LISTS)
def test_a_list_named_without_its_folder_is_relative_to_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert listed(write_list(Path(f"list.{ending}"), ["a.png", "x/b.png"])) == ["a.png", "x/b.png"]


@pytest.mark.parametrize("ending", LISTS)
def test_names_in_a_list_are_taken_as_they_are(tmp_path: Path, ending: str) -> None:
    names = [" two  words .png", "a,b.png", 'say "a".png', "#1 50%.png", "007", "null", "é\\n.png"]
    table = write_list(tmp_path / f"list.{ending}", names)
    assert listed(table) == [f"{tmp_path}/{name}" for name in names]


@pytest.mark.parametrize("ending", LISTS)
def test_a_long_list_comes_in_pieces(tmp_path: Path, ending: str) -> None:
    paths = [f"/{k}.png" for k in range(2 * BATCH + 7)]
    table = write_list(tmp_path / f"list.{ending}", paths)
    found = list(stream_table(table))
    assert [path for one in found for path in one.paths] == paths
    if ending != "csv":  # pyarrow cuts it by bytes
        assert [len(one.paths) for one in found] == [BATCH, BATCH, 7]


@pytest.mark.parametrize("ending", LISTS)
def test_a_list_may_be_empty(tmp_path: Path, ending: str) -> None:
    table = write_list(tmp_path / f"list.{ending}", [])
    if ending == "csv":
        Path(table).write_text("path\n")
    assert listed(table) == []


def test_lines_end_as_on_any_system_and_blank_ones_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"\n/a.png\r\n\r\n/b.png\n/not\xffutf8.png\n\n/last.png")
    assert listed(str(file)) == ["/a.png", "/b.png", os.fsdecode(b"/not\xffutf8.png"), "/last.png"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", b""),
        ("list.csv", b"scan,label\na.png,3\n"),
        ("list.csv", b"path\nnot\xffutf8.png\n"),
        ("list.csv", b"path,label\na.png\n"),
        ("list.parquet", b""),
        ("list.parquet", b"Dear Sir or Madam"),
    ],
)
def test_what_is_no_list_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{tmp_path / name} can't be read as a list: ."):
        list(stream_table(str(tmp_path / name)))


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.parquet"])
def test_a_list_that_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"can't be read as a list: .*No such file"):
        list(stream_table(str(tmp_path / name)))


def test_parquet_without_the_column_path_is_said(tmp_path: Path) -> None:
    for table in ({"files": ["a.png"]}, {"contents": [b"1"]}):
        parquet.write_table(pa.table(table), tmp_path / "a.parquet")
        with pytest.raises(InputError, match=r"a\.parquet is neither a list nor a shard"):
            list(stream_table(str(tmp_path / "a.parquet")))


ENCODINGS = {"": b"", "utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE,
             "utf-16-be": codecs.BOM_UTF16_BE}  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["list.txt", "LIST.CSV", "list.Tsv", "LIST.TXT"])
def test_a_list_is_in_the_encoding_that_it_is_marked_with(
    tmp_path: Path, memory: str, name: str, encoding: str
) -> None:
    mark, tab = ENCODINGS[encoding], "\t" if name.endswith("Tsv") else ","
    head = "" if name.lower().endswith("txt") else f"nr{tab}File Name{tab} FileName \n"
    rows = "".join(f"{'' if not head else f'{k}{tab}x{tab}'}é {k}.png\r\n" for k in range(3))
    content = mark + (head + rows).encode(encoding or "utf-8")
    (tmp_path / name).write_bytes(content)
    fsspec.filesystem("memory").pipe(f"{memory}/{name}", content)
    for folder in (str(tmp_path), memory):
        assert list_inputs([f"{folder}/{name}"]).paths == [f"{folder}/é {k}.png" for k in range(3)]


def test_names_behind_a_mark_of_utf_8_may_be_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + b"/\xff.png\n/a.png\n")
    assert listed(str(tmp_path / "a.txt")) == [os.fsdecode(b"/\xff.png"), "/a.png"]


def test_a_list_that_is_not_in_its_encoding_is_said(tmp_path: Path) -> None:
    for name in ("a.txt", "a.csv"):
        (tmp_path / name).write_bytes("path\n/a.png\n".encode("utf-16")[:-1])
        with pytest.raises(InputError, match="can't be read as a list"):
            listed(str(tmp_path / name))


@pytest.mark.parametrize("ending", ["csv", "tsv", "PARQUET"])
@pytest.mark.parametrize(
    ("columns", "named", "expected"),
    [
        (("file_name", "filename", "file", "image", "path"), None, 4),
        (("file_name", "filename", "file"), None, 2),
        (("x", "file_name"), None, 1),
        (("path", "scan"), "scan", 1),
        (("Image", "label"), None, 0),
    ],
)
def test_the_column_of_paths_is_found_or_named(
    tmp_path: Path, ending: str, columns: tuple[str, ...], named: str | None, expected: int
) -> None:
    table = pa.table({name: [f"/{k}.png"] for k, name in enumerate(columns)})
    file = tmp_path / f"list.{ending}"
    if ending == "PARQUET":
        parquet.write_table(table, file)
    else:
        csv.write_csv(table, file, csv.WriteOptions(delimiter="\t" if ending == "tsv" else ","))
    (found,) = [
        one for one in stream_table(str(file), options=InputOptions(path_column=named)) if one.paths
    ]
    assert found.paths == [f"/{expected}.png"]
    with pytest.raises(InputError, match=r"no column nowhere.*but .*" + columns[0]):
        list(stream_table(str(file), options=InputOptions(path_column="nowhere")))


def test_semicolons_part_columns_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label;path\n3;/a,b.png\n")
    assert listed(str(tmp_path / "a.csv")) == ["/a,b.png"]


def test_a_row_without_a_path_or_with_an_odd_one_is_a_row_with_its_reason(tmp_path: Path) -> None:
    paths = ["a.png", None, "x\0y.png", "new\nline.png", "..\0/../z.png"]
    parquet.write_table(pa.table({"path": paths}), tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text('path,nr\na.png,1\n"",2\n')
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "new\nline.png").write_bytes(b"2")
    found = list_inputs([str(tmp_path / "a.parquet")]).paths
    read = dict(zip(found, map(str, contents(found, ())), strict=True))
    assert len(read) == 5
    assert read[f"{tmp_path}/a.parquet#row 2"] == "unreadable: the list has no path in row 2"
    assert read[f"{tmp_path}/new\nline.png"] == str(b"2")
    assert read[f"{tmp_path}/x\0y.png"] == "unreadable: embedded null byte"
    assert list_inputs([str(tmp_path / "b.csv")]).paths == [
        f"{tmp_path}/a.png", f"{tmp_path}/b.csv#row 2",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_text_of_any_kind_is_a_path(tmp_path: Path, kind: pa.DataType) -> None:
    parquet.write_table(pa.table({"path": pa.array(["/a", "/b"], kind)}), tmp_path / "a.parquet")
    assert listed(str(tmp_path / "a.parquet")) == ["/a", "/b"]


@pytest.mark.parametrize(
    "kind", [(pa.binary(), pa.string()), (pa.large_binary(), pa.large_string())]
)
def test_a_path_that_is_not_utf_8_is_a_files_name_too(
    tmp_path: Path, kind: tuple[pa.DataType, pa.DataType]
) -> None:
    texts = pa.array([b"a.png", b"\xff.png", None], kind[0]).view(kind[1])
    parquet.write_table(pa.table({"path": texts}), tmp_path / "a.parquet")
    name = os.fsdecode(b"\xff.png")
    assert listed(str(tmp_path / "a.parquet")) == [
        f"{tmp_path}/a.png", f"{tmp_path}/{name}", f"{tmp_path}/a.parquet#row 3"
    ]  # fmt: skip
    shard = pa.table({"path": texts, "content": [b"1", b"2", b"3"]})
    parquet.write_table(shard, tmp_path / "b.parquet")
    (found,) = stream_table(str(tmp_path / "b.parquet"))
    assert found.paths == ["a.png", name, "row 3"]
    assert list(row_contents(found)) == [b"1", b"2", b"3"]


NO_TEXTS = {
    "integers": pa.array([1, None, 3]),
    "floats": pa.array([1.5, float("nan"), None]),
    "truths": pa.array([True, False, None]),
    "bytes": pa.array([b"a.png", b"", None]),
    "dates": pa.array([0, 1, None], pa.date32()),
    "times that Python has not": pa.array([2**62, -(2**62), None], pa.timestamp("ms")),
    "lists": pa.array([["a.png"], [], None]),
    "structs": pa.array([{"path": "a.png"}, {"path": None}, None]),
    "structs in structs": pa.array([{"image": {"path": "a.png"}}, None, None]),
    "keys of numbers": pa.array([7, 8, None]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", NO_TEXTS)
def test_paths_that_are_no_text_are_rows_with_their_reason(tmp_path: Path, kind: str) -> None:
    table = pa.table({"path": NO_TEXTS[kind], "label": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    found = listed(str(tmp_path / "a.parquet"))
    assert found == [f"{tmp_path}/a.parquet#row {k}" for k in (1, 2, 3)]
    assert list(map(str, contents(found, ()))) == [
        f"unreadable: the list has no path in row {k}" for k in (1, 2, 3)
    ]


def test_a_column_of_text_is_taken_for_the_paths_before_one_of_numbers(tmp_path: Path) -> None:
    columns = {"image": [41, 42], "file_name": ["/a", "/b"]}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert listed(str(tmp_path / "a.parquet")) == ["/a", "/b"]


@pytest.mark.parametrize("options", [InputOptions(), InputOptions(content_column="scan")])
def test_a_table_without_the_column_is_said(tmp_path: Path, options: InputOptions) -> None:
    parquet.write_table(pa.table({"scan": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"a\.parquet is neither a list nor a shard: .*scan \(int64"
    ):
        list(stream_table(str(tmp_path / "a.parquet"), options=options))


def test_a_shard_gives_its_members_by_row_group(tmp_path: Path) -> None:
    scans: dict[str, bytes | str] = {
        "/x/a.png": b"first",
        "b c.png": b"",
        "d.png": "unreadable: Permission denied",
        "e.png": b"fourth",
        "f.png": b"fifth",
    }
    shard = write_shard(tmp_path / "shard-000000.parquet", scans)
    found = list(stream_table(shard))
    assert found == [
        Found(["/x/a.png", "b c.png"], shard, 0),
        Found(["d.png", "e.png"], shard, 1),
        Found(["f.png"], shard, 2),
    ]
    assert found[0].shown == [f"{shard}#/x/a.png", f"{shard}#b c.png"]
    assert list(row_contents(found[0])) == [b"first", b""]
    error, fourth = row_contents(found[1])
    assert isinstance(error, ScanError)
    assert (error.code, str(error)) == ("unreadable", "unreadable: Permission denied")
    assert not error.outage  # it is what the shard holds
    assert fourth == b"fourth"
    assert list(row_contents(found[2])) == [b"fifth"]


def test_a_shard_may_have_any_path(tmp_path: Path) -> None:
    folder = tmp_path / "# 50% of all#2"
    folder.mkdir()
    shard = write_shard(folder / "shard-000000.parquet", {"a.png": b"1"})
    (found,) = stream_table(shard)
    assert list(row_contents(found)) == [b"1"]


def test_any_rows_of_a_shard_whatever_they_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MOST_ROWS", 40)
    monkeypatch.setattr(shards, "BATCH", 7)
    contents = [str(k).encode() for k in range(100)]
    table = pa.table({"path": ["#"] * 100, "content": contents})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=60)
    found = list(stream_table(str(tmp_path / "a.parquet")))
    assert [(one.row_group, one.first, len(one)) for one in found] == [
        (0, 0, 40), (0, 40, 20), (1, 0, 40)
    ]  # fmt: skip
    stamps: list[int] = []
    assert [one for piece in found for one in row_contents(piece, stamps=stamps)] == contents
    assert len(stamps) == 100
    assert len(set(stamps)) == 1
    some = found[0].only([k in (3, 4, 25) for k in range(40)])
    assert [one for piece in some for one in row_contents(piece)] == [b"3", b"4", b"25"]


def test_a_shard_that_changed_since_it_was_listed(tmp_path: Path) -> None:
    names = {f"{k}.png": b"1" for k in range(3)}
    (found,) = stream_table(write_shard(tmp_path / "a.parquet", names, row_group=3))
    for others in ({**names, "2.png": b""}, dict(list(names.items())[:2]), {"0.png": b"", **names}):
        others = dict(reversed(others.items()))
        write_shard(tmp_path / "a.parquet", others, row_group=3)
        reasons = {str(one) for one in row_contents(found)}
        assert reasons == {"vanished: the shard was packed anew: --update reads it again"}


def test_a_shard_that_others_wrote_needs_only_path_and_content(tmp_path: Path) -> None:
    file = tmp_path / "mine.parquet"
    parquet.write_table(pa.table({"path": ["a.png", "b.png"], "content": [b"1", b"2"]}), file)
    (found,) = stream_table(str(file))
    assert list(row_contents(found)) == [b"1", b"2"]


def test_a_member_without_bytes_and_reason_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "shard-000000.parquet"
    parquet.write_table(pa.table([["a.png"], [None], [None]], schema=shard_schema()), file)
    (error,) = row_contents(Found(["a.png"], str(file)))
    assert isinstance(error, ScanError)


def test_a_shard_that_is_gone_is_an_error_a_member(tmp_path: Path) -> None:
    found = Found(["0", "1", "2"], f"{tmp_path}/shard-000000.parquet")
    assert failed(found) == {"vanished: no such shard"}


@pytest.mark.parametrize("damage", ["cut short", "other bytes", "empty"])
def test_a_damaged_shard_is_an_error_a_member(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "shard-000000.parquet"
    write_shard(file, {f"{k}.png": b"x" * 100 for k in range(4)})
    found = list(stream_table(str(file)))
    content = file.read_bytes()
    if damage == "cut short":
        file.write_bytes(content[:-20])
    elif damage == "other bytes":
        file.write_bytes(content[:4] + b"\xff" * (len(content) // 2) + content[-200:])
    else:
        file.write_bytes(b"")
    (why,) = failed(found[1])
    assert why.startswith("unreadable: the shard: ")
    assert "\n" not in why


def test_a_shard_that_has_fewer_row_groups_was_packed_anew(tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.parquet", {f"{k}.png": b"x" for k in range(4)})
    (_, found) = stream_table(shard)
    write_shard(tmp_path / "a.parquet", {"0.png": b""})
    assert {str(one).split(": ")[1] for one in row_contents(found)} == {"the shard was packed anew"}


def test_a_shard_whose_filesystem_can_not_be_opened_is_an_error_a_member() -> None:
    (why,) = failed(Found(["a.png"] * 2, "nosuch://bucket/shard-000000.parquet"))
    assert why.startswith("unreadable: ")


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("txt"),
        "csv",
        "parquet",
    ],
)
def test_a_list_behind_a_uri_is_relative_to_its_folder(
    memory: str, tmp_path: Path, ending: str
) -> None:
    paths = ["a.png", "deep/b c.png", "/here/c.png", "s3://bucket/d.png"]
    content = Path(write_list(tmp_path / f"list.{ending}", paths)).read_bytes()
    fsspec.filesystem("memory").pipe(f"{memory}/list.{ending}", content)
    assert listed(f"{memory}/list.{ending}") == [
        f"{memory}/a.png",
        f"{memory}/deep/b c.png",
        "/here/c.png",
        "s3://bucket/d.png",
    ]


def test_a_shard_behind_a_uri(memory: str, tmp_path: Path) -> None:
    content = Path(write_shard(tmp_path / "a", {"1": b"one", "2": b"two", "3": b"3"})).read_bytes()
    shard = f"{memory}/shard-000000.parquet"
    fsspec.filesystem("memory").pipe(shard, content)
    first, second = stream_table(shard)
    assert list(row_contents(first)) == [b"one", b"two"]
    assert list(row_contents(second)) == [b"3"]
    fsspec.filesystem("memory").rm(shard)
    assert failed(first) == {"vanished: no such shard"}


def test_a_shard_behind_a_uri_is_tried_again(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = Path(write_shard(tmp_path / "a", {"1": b"one"})).read_bytes()
    shard, filesystem = f"{memory}/shard-000000.parquet", fsspec.filesystem("memory")
    filesystem.pipe(shard, content)
    opened, failures = type(filesystem).open, [OSError("slow down")]

    def failing(self: object, *args: object, **options: object) -> object:
        if failures:
            raise failures.pop()
        return opened(self, *args, **options)

    monkeypatch.setattr(uris, "FIRST_WAIT_SECONDS", 0)
    monkeypatch.setattr(type(filesystem), "open", failing)
    assert list(row_contents(Found(["1"], shard))) == [b"one"]
    assert not failures
