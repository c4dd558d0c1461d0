"""What a page holds: which rows, in which order, as what pictures; and that nothing else runs."""

import base64
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from digitrec import cli
from digitrec.batch.audit import draw
from digitrec.batch.classify import classify
from digitrec.batch.result import open_result
from digitrec.batch.run import RunSettings
from digitrec.errors import InputError
from digitrec.review.items import LONGEST, Item, Row, most_doubtful, picture, read_rows
from digitrec.review.make import make
from digitrec.review.page import PER_SHEET, Origin, page_data, page_html
from digitrec.review.words import CHINESE, ENGLISH

ORIGIN = Origin(result="/result", model="abc", run="r1")


def data_of(page: str | Path) -> dict[str, Any]:
    """Give what a page's script goes by."""
    text = Path(page).read_text()
    [content] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    found: dict[str, Any] = json.loads(content)
    return found


def item(k: int = 0, predicted: str = "3", path: str = "a.png") -> Item:
    row = Row(
        path, predicted, 0.5 if predicted else None, [("8", 0.3)], "low-confidence: 0.5", None
    )
    return Item((0, k), row, f"{k:016x}", "data:image/png;base64,AAAA", 28, 28, "")


def test_the_most_doubtful_come_first_in_sheets_by_what_was_read(
    doubted: str, tmp_path: Path
) -> None:
    made = make(doubted, str(tmp_path / "page.html"), count=2000)
    assert (made.items, made.left, made.missing) == (40, 0, [])
    assert made.digits == {str(digit): 4 for digit in range(10)}
    data = data_of(tmp_path / "page.html")
    assert [sheet["predicted"] for sheet in data["sheets"]] == list("0123456789")
    for sheet in data["sheets"]:
        some = [data["items"][k] for k in sheet["items"]]
        assert [one["confidence"] for one in some] == sorted(one["confidence"] for one in some)
        assert {Path(one["path"]).stem[-1] for one in some} == {sheet["predicted"]}
    assert data["origin"]["result"] == doubted


def test_a_count_takes_the_most_doubtful_of_all(doubted: str, tmp_path: Path) -> None:
    result = open_result(doubted)
    chosen = most_doubtful(result, 7)
    assert (len(chosen.places), chosen.left) == (7, 33)
    every = most_doubtful(result, 40).places
    rows = read_rows(result, every)
    sure = [rows[place].confidence or 0 for place in every]
    assert sure == sorted(sure)
    assert every[:7] == chosen.places


def test_scans_that_are_gone_or_changed_are_left_out_and_told(
    fresh: str, scans: Path, tmp_path: Path
) -> None:
    (scans / "00-7.png").unlink()
    (scans / "01-2.png").write_bytes((scans / "03-0.png").read_bytes() + b" ")
    made = make(fresh, str(tmp_path / "page.html"), count=2000)
    assert made.items == 38
    assert "00-7.png: vanished: no such file" in made.missing[0]
    assert "01-2.png: changed: classify --update" in made.missing[1]


def test_nothing_in_doubt_is_said(settings: RunSettings, tmp_path: Path) -> None:
    classify(settings)
    with pytest.raises(InputError, match="nothing is in doubt"):
        make(settings.out, str(tmp_path / "page.html"), count=10)


def test_a_samples_page_does_not_tell_what_was_read(
    settings: RunSettings, five_parts: None, tmp_path: Path
) -> None:
    classify(settings)
    sample = tmp_path / "sample"
    _, rows = draw(settings.out, 9, sample, seed=3)
    make(settings.out, str(tmp_path / "page.html"), count=1, sample=sample)
    data = data_of(tmp_path / "page.html")
    assert [one["number"] for one in data["items"]] == list(range(1, 10))
    assert [one["path"] for one in data["items"]] == [row.original for row in rows]
    assert {(one["predicted"], one["confidence"]) for one in data["items"]} == {("", None)}
    assert not any(one["alternatives"] or one["reason"] for one in data["items"])
    other = replace(settings, out=f"{settings.out}-2")
    classify(other)
    with pytest.raises(InputError, match="drawn of another result"):
        make(other.out, str(tmp_path / "page.html"), count=1, sample=sample)


@hypothesis.given(st.text())
def test_no_name_of_a_scan_is_markup(name: str) -> None:
    hostile = f"</script><script>alert(1)</script><!--{name}\u2028"
    text = page_html(page_data(ORIGIN, [item(path=hostile)]))
    [content] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert not {"<", ">", "&"} & set(content)
    assert json.loads(content)["items"][0]["path"] == hostile
    assert text.count("<script") == 3
    assert "alert(1)" not in text.replace(content, "")


def test_a_page_asks_nobody_for_anything(doubted: str, tmp_path: Path) -> None:
    make(doubted, str(tmp_path / "page.html"), count=2000)
    text = (tmp_path / "page.html").read_text()
    [policy] = re.findall(r'Content-Security-Policy" content="(.*?)"', text)
    assert html.unescape(policy).startswith("default-src 'none'; img-src data:; base-uri 'none'")
    assert "unsafe" not in policy
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    assert not re.findall(r"https?:", text)


@pytest.mark.parametrize("shape", [(28, 28), (32, 7, 3), (600, 400), (5000, 3), (90, 300, 4)])
def test_pictures_are_small_and_whole(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    uri = picture(pixels)
    kind, content = uri.split(";base64,")
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_UNCHANGED)
    assert max(shown.shape[:2]) == min(max(shape[:2]), LONGEST)
    assert kind == ("data:image/png" if max(shape[:2]) <= 32 else "data:image/webp")
    if shape == (28, 28):
        assert (shown == pixels).all()


def test_large_scans_make_a_small_page() -> None:
    """5,000 of them: 10 to 15 MB."""
    rng = np.random.default_rng(0)
    page = np.full((600, 500), 235.0)
    cv2.circle(page, (250, 300), 150, 30, 40)
    scan = np.clip(page + rng.normal(0, 12, page.shape), 0, 255).astype(np.uint8)
    assert len(picture(scan)) < 3000


def test_sheets_hold_sixty_and_what_was_not_read_comes_last() -> None:
    items = [item(k, "7") for k in range(PER_SHEET + 1)] + [item(99, "")]
    sheets = page_data(ORIGIN, items)["sheets"]
    assert [(one["predicted"], len(one["items"])) for one in sheets] == [
        ("7", 60),
        ("7", 1),
        ("", 1),
    ]


def test_a_page_is_told_from_any_other() -> None:
    ids = {
        page_data(ORIGIN, [item(0)])["page"],
        page_data(ORIGIN, [item(1)])["page"],
        page_data(replace(ORIGIN, run="r2"), [item(0)])["page"],
        page_data(replace(ORIGIN, sample="/sample"), [item(0)])["page"],
    }
    assert len(ids) == 4
    again = page_data(replace(ORIGIN, result="/elsewhere"), [item(0)], "zh")
    assert again["page"] in ids


def test_both_languages_say_the_same() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
    for key, text in ENGLISH.items():
        if isinstance(text, str):
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", CHINESE[key])), key
    assert len(ENGLISH["key_list"]) == len(CHINESE["key_list"])


def test_label_studio_gets_tasks_and_an_interface(
    doubted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tasks.json"
    command = ["review", "make", doubted, "--format", "label-studio", "--out", str(out)]
    assert cli.main(command) == 0
    assert f"tasks        {out}, for the labelling interface in {tmp_path}/tasks.xml" in (
        capsys.readouterr().out
    )
    tasks = json.loads(out.read_text())
    assert len(tasks) == 40
    task = tasks[0]
    assert task["data"]["image"].startswith("data:image/png;base64,")
    assert task["meta"]["path"] == task["data"]["path"]
    [choice] = task["predictions"][0]["result"]
    assert choice["value"] == {"choices": [task["meta"]["predicted"]]}
    interface = (tmp_path / "tasks.xml").read_text()
    assert interface.count("<Choice ") == 12
    assert f'name="{choice["from_name"]}" toName="{choice["to_name"]}"' in interface


def test_what_is_said(doubted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "page.html")
    assert cli.main(["review", "make", doubted, "--out", out, "-n", "30", "--language", "zh"]) == 0
    said = capsys.readouterr().out
    assert "to settle    30 scans" in said
    assert "left         10 more are to review: --count 40 takes them too" in said
    assert "MB: open it in a browser" in said
    assert '<html lang="zh">' in Path(out).read_text()
    assert cli.main(["review", "make", doubted, "--out", out, "-n", "0"]) == 2
    assert "--count must be at least 1" in capsys.readouterr().err
    assert cli.main(["review", "make", str(tmp_path), "--out", out]) == 2
    assert "holds no result of classify" in capsys.readouterr().err
    assert cli.main(["review", "make", doubted, "--out", f"{tmp_path}/no/"]) == 2
    assert "names no file" in capsys.readouterr().err


def test_a_page_may_lie_behind_a_uri(doubted: str, memory: str) -> None:
    import fsspec

    make(doubted, f"{memory}/pages/page.html", count=2000)
    assert b"<!doctype html>" in fsspec.filesystem("memory").cat(f"{memory}/pages/page.html")


def test_packed_scans_are_shown(settings: RunSettings, all_in_doubt: None, tmp_path: Path) -> None:
    from digitrec.batch.pack import pack

    packed = replace(settings, out=str(tmp_path / "packed"))
    pack(packed)
    run = replace(settings, inputs=(packed.out,))
    classify(run)
    made = make(run.out, str(tmp_path / "page.html"), count=2000)
    assert (made.items, made.missing) == (40, [])
