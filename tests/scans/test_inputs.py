import os
from pathlib import Path

import pytest

from digitrec.errors import InputError
from digitrec.scans.inputs import list_inputs, readable


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_a_folder_gives_its_images_and_counts_the_rest(tmp_path: Path) -> None:
    wanted = [
        touch(tmp_path / name) for name in ("a.png", "deep/er/B.TIFF", "c.pgm", "x.png/d.gif")
    ]
    for name in ("notes.txt", "deep/list.csv", "deep/more.csv", "README", ".hidden.png", "_x.png"):
        touch(tmp_path / name)
    touch(tmp_path / "_parts/e.png")
    touch(tmp_path / ".git/f.png")
    listing = list_inputs([str(tmp_path)])
    assert listing.paths == sorted(map(str, wanted))
    assert listing.ignored == {"": 1, ".csv": 2, ".png": 2, ".txt": 1}


def test_links_are_followed_once_and_loops_cut(tmp_path: Path) -> None:
    real = touch(tmp_path / "scans/a.png")
    (tmp_path / "scans/again").symlink_to(tmp_path / "scans")
    (tmp_path / "aaa").symlink_to(tmp_path / "scans")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    elsewhere = touch(tmp_path.parent / f"{tmp_path.name}-elsewhere/b.png")
    (tmp_path / "out").symlink_to(elsewhere.parent)
    listing = list_inputs([str(tmp_path)])
    assert listing.paths == sorted([str(real), str(tmp_path / "out/b.png")])
    assert listing.ignored == {".png": 2}


def test_a_file_named_by_itself_is_a_scan_whatever_its_name(tmp_path: Path) -> None:
    letter = touch(tmp_path / "letter.txt")
    picture = touch(tmp_path / "a.png")
    listing = list_inputs([str(letter), str(tmp_path), str(picture)])
    assert listing.paths == [str(picture), str(letter)]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file or folder .*nowhere"):
        list_inputs([str(tmp_path / "nowhere")])


def test_any_name_is_listed_and_written_readably(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"odd.\xfe")).touch()
    names = [b"two words.png", b"new\nline.png", b"not\xffutf8.png", b"back\\slash.png"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")
    listing = list_inputs([str(tmp_path)])
    assert sorted(os.fsencode(os.path.basename(path)) for path in listing.paths) == sorted(names)
    assert listing.ignored == {".\\xfe": 1}
    assert {readable(os.path.basename(path)) for path in listing.paths} == {
        "two words.png",
        "new\nline.png",
        "not\\xffutf8.png",
        "back\\\\slash.png",
    }
