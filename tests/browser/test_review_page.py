"""The review page in a real browser: clicked, typed on, reloaded, saved, exported and collected."""

import contextlib
import csv
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import dataset

from digitrec import cli
from digitrec.batch import classify as classifying
from digitrec.batch.audit import draw
from digitrec.batch.classify import classify
from digitrec.batch.run import RunSettings
from digitrec.datasets.labelled import png
from digitrec.review.items import Item, Row, picture
from digitrec.review.make import make
from digitrec.review.page import Origin, page_data, page_html
from digitrec.review.words import CHINESE
from tests.conftest import skip_or_fail
from tests.review.conftest import doubting
from tests.small_mnist.make import Digits, load_small

pytestmark = pytest.mark.slow
SCANS, MANY, MOST = 2100, 2000, 5000  # of the first some are accepted all the same
ALL_SETTLED = "All settled. Export the answers now."
# A page, opened with a reviewer's name, and the addresses that it asked for.
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    program = shutil.which("chromium")
    if program is None:
        skip_or_fail("there is no chromium on this machine")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("playwright is not installed")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """What opens a page for a reviewer in a browser of its own, or in an earlier one's."""
    asked: list[str] = []
    failed: list[str] = []
    with contextlib.ExitStack() as stack:

        def open_page(file: Path, reviewer: str = "Anna", **settings: Any) -> Any:
            context = browser.new_context(
                **{"viewport": {"width": 1280, "height": 800}, **settings}
            )
            stack.callback(context.close)
            page = context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: failed.append(str(error)))
            page.on("console", lambda said: failed.append(said.text))
            page.goto(file.as_uri())
            if reviewer:
                page.fill("#name", reviewer)
                page.keyboard.press("Enter")
            return page

        yield open_page
    assert failed == []
    assert {url.split(":")[0] for url in asked} <= {"file", "data", "blob"}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a result with more than 2,000 scans in doubt: 2,000 of them."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "scans").mkdir()
    images, labels = load_small("train")
    for k in range(SCANS):
        image = np.roll(images[k % len(images)], k // len(images), axis=1)
        name = f"{k:04d}-{labels[k % len(images)]}.png"
        (folder / "scans" / name).write_bytes(png(image))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifying, "with_budget", doubting)
        out = str(folder / "result")
        run = classify(RunSettings(inputs=(str(folder / "scans"),), out=out, quiet=True)).run
    assert run["counts"]["rows"] == SCANS
    assert run["counts"]["review"] > MANY
    make(out, str(folder / "page.html"), count=MANY)
    return folder / "page.html"


def count(page: Any) -> int:
    """Give how many scans are settled, as the page says."""
    return int(page.inner_text("#count").split()[0].replace(",", ""))


def said(page: Any) -> str:
    return str(page.inner_text("#said"))


def saved(page: Any, button: str, folder: Path) -> Path:
    """Press what downloads a file; give the file."""
    with page.expect_download() as download:
        page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def settle_all(page: Any) -> int:
    """Click a scan of each sheet, type what it is, confirm the rest; give how many were typed."""
    for sheet in range(1000):
        page.locator("#grid button").nth(sheet % 7).click()
        page.keyboard.press("0123456789bn"[sheet % 12])
        page.keyboard.press("Enter")
        if said(page) == ALL_SETTLED:
            return sheet + 1
    raise AssertionError("the sheets do not end")


def test_two_thousand_are_settled_exported_and_collected(
    many: Path,
    opened: Open,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = opened(many)
    began = time.perf_counter()
    sheets = settle_all(page)
    seconds = time.perf_counter() - began
    with capsys.disabled():
        print(f"\n{MANY} settled on {sheets} sheets: {60 * MANY / seconds:,.0f} a minute")
    assert count(page) == MANY
    export = saved(page, "#export", tmp_path)
    with export.open(newline="") as source:
        rows = list(csv.DictReader(source))
    assert len(rows) == MANY
    assert {row["reviewer"] for row in rows} == {"Anna"}
    out, corrected = str(tmp_path / "c.parquet"), str(tmp_path / "corrected")
    command = ["review", "collect", str(export), "--out", out, "--corrected", corrected]
    assert cli.main(command) == 0
    assert f"settled      {MANY:,} scans" in capsys.readouterr().out
    labels = {row["path"]: row["label"] for row in rows}
    assert sum(row["label"] != row["predicted"] for row in rows) > sheets / 2
    found = dataset.dataset(corrected, format="parquet").to_table().to_pylist()
    assert {row["path"]: row["corrected"] for row in found if row["corrected"]} == labels
    assert len(found) == SCANS
    written = dataset.dataset(out, format="parquet").to_table().to_pylist()
    assert all(row["content"] == Path(row["path"]).read_bytes() for row in written)


def test_keys_and_mouse_do_what_they_say(many: Path, opened: Open) -> None:
    page = opened(many)
    cells = page.locator("#grid button")
    read = page.inner_text("#heading").split()[-1]
    assert cells.count() == 60
    cells.nth(3).click()
    assert (cells.nth(3).inner_text(), count(page)) == ("?", 0)
    cells.nth(3).click()
    assert cells.nth(3).inner_text() == ""
    cells.nth(3).click()
    page.keyboard.press("Enter")
    assert said(page).startswith("1 marked without an answer")
    page.keyboard.press("8")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("b")
    page.keyboard.press("Space")
    page.keyboard.press("x")
    page.keyboard.press(read)
    shown = [cells.nth(k).inner_text() for k in range(3, 9)]
    assert shown == ["8", "", "blank", "blank", "no digit", "✓"]
    assert cells.nth(3).get_attribute("aria-selected") == "true"
    assert "answer: 8" in str(cells.nth(3).get_attribute("aria-label"))
    page.keyboard.press("Control+z")
    page.keyboard.press("u")
    assert (cells.nth(7).inner_text(), count(page)) == ("", 3)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    assert count(page) == 2
    page.keyboard.press("ArrowDown")
    assert page.locator("#grid .current").get_attribute("aria-label") != "Scan 1 of 60"
    page.click("#guesses button >> nth=0")
    assert count(page) == 3
    page.click("#pad >> text=not a digit")
    assert count(page) == 4
    page.keyboard.press("Enter")
    assert (said(page), count(page)) == ("56 confirmed.", 60)
    page.keyboard.press("u")
    assert (said(page), count(page)) == ("Undone.", 4)
    page.keyboard.press("PageDown")
    assert "sheet 2 of" in page.inner_text("#which")
    page.click("nav button >> nth=4")
    assert page.inner_text("#heading") == "Read as 4"


def test_nothing_is_lost(many: Path, opened: Open, tmp_path: Path) -> None:
    page = opened(many)
    page.locator("#grid button").nth(5).click()
    page.keyboard.press("n")
    page.locator("#grid button").nth(9).click()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert count(page) == 59
    page.reload()
    assert (count(page), page.inner_text("#who")) == (59, "Reviewer: Anna")
    assert page.locator("#ask[open]").count() == 0
    assert page.locator("#grid .open").count() == 1
    progress = saved(page, "#save", tmp_path)
    export = saved(page, "#export", tmp_path)
    elsewhere = opened(many, "Ben")
    elsewhere.set_input_files("#file", progress)
    elsewhere.wait_for_function("document.getElementById('said').textContent !== ''")
    assert (said(elsewhere), count(elsewhere)) == ("59 answers loaded.", 59)
    assert elsewhere.inner_text("#who") == "Reviewer: Anna"
    assert saved(elsewhere, "#export", tmp_path / "again").read_bytes() == export.read_bytes()
    (tmp_path / "other.json").write_text(json.dumps({"page": "other", "answers": []}))
    elsewhere.set_input_files("#file", tmp_path / "other.json")
    elsewhere.wait_for_function("document.getElementById('said').textContent.startsWith('This')")
    # Another person begins anew, and the first one's answers stay.
    elsewhere.click("#who")
    elsewhere.fill("#name", "Cleo")
    elsewhere.keyboard.press("Enter")
    assert count(elsewhere) == 0
    assert cli.main(["review", "collect", str(progress), "--out", str(tmp_path / "c.csv")]) == 0


def test_it_speaks_chinese(many: Path, opened: Open) -> None:
    page = opened(many, "王芳", locale="zh-CN")
    assert page.inner_text("h1") == CHINESE["title"]
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert page.inner_text("#who") == "复核人：王芳"
    english = page.locator("body").inner_text()
    page.click("#language")
    assert page.inner_text("h1") == "Review of digits"
    assert page.locator("body").inner_text() != english
    assert page.locator("#language").inner_text() == "中文"


@pytest.mark.parametrize("width", [1280, 800])
def test_all_can_be_pressed_with_a_finger_and_is_named(
    width: int, many: Path, opened: Open
) -> None:
    page = opened(many, viewport={"width": width, "height": 1000}, has_touch=True)
    for pressed in page.locator("button:visible, summary:visible").all():
        box = pressed.bounding_box()
        assert min(box["width"], box["height"]) >= 43.9, pressed.inner_text()
        assert pressed.get_attribute("aria-label") or pressed.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#grid button").nth(2).tap()
    page.tap("#pad >> text=5")
    assert count(page) == 1


def test_an_audits_scans_are_answered_one_by_one(
    opened: Open, settings: RunSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classify(settings)
    sample = tmp_path / "sample"
    _, rows = draw(settings.out, 30, sample, seed=3)
    file = tmp_path / "page.html"
    make(settings.out, str(file), count=1, sample=sample)
    page = opened(file)
    assert page.inner_text("h1") == "Audit of digits"
    assert not page.is_visible("#guesses-part")
    page.keyboard.press("Enter")
    assert count(page) == 0  # nothing is confirmed together
    page.keyboard.press("ArrowLeft")
    for row in rows:
        page.keyboard.press(Path(row.original).stem[-1])
    assert (count(page), said(page)) == (30, ALL_SETTLED)
    export = saved(page, "#export", tmp_path)
    assert cli.main(["review", "collect", str(export)]) == 0
    assert f"digitrec audit bound {settings.out} {sample}" in capsys.readouterr().out
    assert cli.main(["audit", "bound", settings.out, str(sample)]) == 0
    assert "answered     30, of them 0 read wrong" in capsys.readouterr().out


def test_names_of_scans_are_text(opened: Open, small_test: Digits, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)></script><b>3.png"
    row = Row(name, "3", 0.5, [("8", 0.4)], "low-confidence: <i>", None)
    items = [Item((0, 0), row, "0" * 16, picture(small_test[0][0]), 28, 28, "<u>notes</u>")]
    file = tmp_path / "page.html"
    file.write_text(page_html(page_data(Origin(result="<b>", model="m", run="r"), items)))
    page = opened(file)
    assert page.inner_text("dd.path") == name
    assert page.locator("aside img").count() == 1
    assert page.locator("aside i, aside u, header b").count() == 0


def test_five_thousand_load_and_answer_at_once(
    opened: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    images, labels = load_small("train")
    items = []
    for k in range(MOST):
        image = images[k % len(images)]
        scan = np.kron(image, np.ones((6, 6))) * 0.7 + rng.normal(60, 8, (168, 168))
        pixels = (255 - np.clip(scan, 0, 255)).astype(np.uint8)
        row = Row(f"scans/{k:05d}.png", str(labels[k % len(images)]), 0.5, [("8", 0.3)], "", None)
        items.append(Item((0, k), row, f"{k:016x}", picture(pixels), 168, 168, ""))
    file = tmp_path / "page.html"
    file.write_text(page_html(page_data(Origin(result="/r", model="m", run="r"), items)))
    size = file.stat().st_size / 1e6
    began = time.perf_counter()
    page = opened(file)
    loaded = time.perf_counter() - began
    slowest = page.evaluate(
        """() => {
          const times = [..."8b3n5"].map((key) => {
            const began = performance.now();
            const event = new KeyboardEvent("keydown", {key, bubbles: true});
            document.activeElement.dispatchEvent(event);
            return performance.now() - began;
          });
          return Math.max(...times);
        }"""
    )
    sheets = settle_all(page)
    with capsys.disabled():
        print(
            f"\n{MOST} scans of 168×168, a page of {size:.1f} MB: there in {loaded:.2f} s, a key "
            f"takes {slowest:.1f} ms at most, {sheets} sheets"
        )
    assert count(page) == MOST
    assert size < 16
    assert loaded < 5
    assert slowest < 100
