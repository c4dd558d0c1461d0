"""The pages: links lead somewhere, commands and names are the code's, both READMEs say the same."""

import ast
import contextlib
import doctest
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from digitrec.batch.manifest import SCHEMA_VERSION, read_run
from digitrec.cli import _parser, main
from digitrec.datasets.labelled import png
from digitrec.model import card, champion
from digitrec.normalize.scan import NORMALIZER_VERSION
from digitrec.schema import NOTES, SCHEMA
from digitrec.storage.folder import open_folder
from digitrec.version import __version__
from tests.conftest import skip_or_fail
from tests.test_promises import FLAGS

ROOT = Path(__file__).parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
CONTRIBUTING, FILES = ROOT / "CONTRIBUTING.md", ROOT / "docs" / "files.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "cluster" / "README.md",
]
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
CODE = re.compile(r"`([^`]+)`")
# What ends a command in a shell's line.
ENDS = {";", "|", "&&", ">"}


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return BLOCK.sub("", page.read_text())


def links(page: Path) -> list[str]:
    return [link for link in LINK.findall(prose(page)) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in HEADING.findall(prose(page)))
    return {title.replace(" ", "-") for title in titles}


def section(page: Path, title: str) -> str:
    """What stands under a heading, up to the next one."""
    [_, below] = re.split(rf"^#+ {re.escape(title)}$", page.read_text(), flags=re.MULTILINE)
    return re.split(r"^#+ ", below, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def named(text: str) -> list[str]:
    """What a table's first column names in code, row by row."""
    return [name for row in rows(text) for name in CODE.findall(row[0])]


def commands(page: Path) -> Iterator[list[str]]:
    """The commands of a page's blocks and lines, each as its words, as far as they are told."""
    shell = re.findall(r"^\$ (.*)$", page.read_text(), re.MULTILINE)
    for line in [*shell, *(" ".join(code.split()) for code in CODE.findall(prose(page)))]:
        lexer = shlex.shlex(line.replace("…", ""), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        with contextlib.suppress(ValueError):  # a quotation mark that is no shell's
            for word in [*lexer, ";"]:
                if word not in ENDS:
                    words.append(word)
                elif words:
                    yield words
                    words = []


def digitrec_arguments(words: list[str]) -> list[str] | None:
    """What `digitrec` is called with, also as a job; None for other commands."""
    if words[0] == "digitrec":
        return words[1:]
    if job := next((k for k, word in enumerate(words) if word.startswith("jobs/")), 0):
        return [Path(words[job]).stem, *words[job + 1 :]]
    return None


def test_the_readme_is_a_door() -> None:
    assert len(README.read_text().splitlines()) <= 250


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_anchor_of_a_page_leads_somewhere(page: Path) -> None:
    assert page.is_file()
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_digitrec_command_of_a_page_is_one(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in commands(page):
        arguments = digitrec_arguments(words)
        if arguments is None or len(arguments) < 2:  # a command's name alone
            continue
        try:
            _parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{page.name}: {' '.join(words)}: {capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_file_and_target_that_a_page_names_is_there(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(page):
        if words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]), f"{page.name}: {words[2]}"
        if words[0] == "make" and len(words) > 1:
            assert words[1] in targets, f"{page.name}: make {words[1]}"
        if re.fullmatch(r"(digitrec|tests|jobs)/[\w/.-]+", words[0]) and len(words) == 1:
            assert (ROOT / words[0]).exists(), f"{page.name}: {words[0]}"


def test_every_command_is_in_the_pages() -> None:
    called = (digitrec_arguments(words) for page in PAGES for words in commands(page))
    told = {arguments[0] for arguments in called if arguments}
    assert {name.split()[0] for name in FLAGS} <= told


def test_the_chinese_readme_has_the_same_commands_figures_and_links() -> None:
    assert BLOCK.findall(CHINESE.read_text()) == BLOCK.findall(README.read_text())
    english, chinese = (
        [sorted(NUMBER.findall(part)) for part in re.split(r"^#+ ", prose(page), flags=re.M)]
        for page in (README, CHINESE)
    )
    assert chinese == english
    switch = {"README.md", "README.zh.md"}
    assert [one for one in links(CHINESE) if one not in switch] == [
        one for one in links(README) if one not in switch
    ]


def test_the_map_has_every_room() -> None:
    [block] = BLOCK.findall(section(README, "Find your way"))
    rooms = {path.parent.name for path in (ROOT / "digitrec").glob("*/*") if path.suffix}
    assert set(re.findall(r"^digitrec/(\w+)/", block, re.MULTILINE)) == rooms - {"__pycache__"}
    assert len(block.splitlines()) - 2 <= 18


@pytest.mark.parametrize(
    ("page", "title"),
    [(README, "The result"), (CHINESE, "结果"), (FILES, "A result of classify")],
)
def test_the_tables_of_columns_are_the_schema(page: Path, title: str) -> None:
    [table, *_] = section(page, title).split("\n\nThe codes")
    assert named(table) == [*SCHEMA.names, NOTES.name]


def test_the_table_of_the_card_has_its_fields() -> None:
    assert set(named(section(FILES, "A bundle"))) == {one.name for one in fields(card.Card)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two scans, one of them none, and what `classify` made of them."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "scans").mkdir()
    (folder / "scans" / "blank.png").write_bytes(png(np.full((9, 9), 255, np.uint8)))
    (folder / "scans" / "note.png").write_text("no picture")
    assert main(["classify", str(folder / "scans"), "--out", str(folder / "result")]) == 0
    return folder


def test_the_table_of_the_run_has_its_fields(place: Path) -> None:
    run = read_run(open_folder(place / "result"))
    assert run
    assert set(named(section(FILES, "`_run.json`"))) == set(run)


@pytest.mark.parametrize(
    ("page", "title", "expected"),
    [
        (README, "Read the result, and keep it up to date", "not-an-image: none of the formats"),
        (FILES, "A result of classify", '"model_id"'),
    ],
)
def test_the_results_are_read_as_the_pages_say(
    page: Path, title: str, expected: str, place: Path
) -> None:
    *_, line = re.findall(r"^\$ (.*)$", section(page, title), re.MULTILINE)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.run(
        ["bash", "-c", line], cwd=place, env={**os.environ, "PATH": programs}, text=True,
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert expected in said


def test_the_lines_of_python_print_what_the_readme_says(
    mnist_test: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (("2/00001.png", png(mnist_test[0][1])), ("7/empty.png", b"")):
        (tmp_path / "scans" / name).parent.mkdir(parents=True)
        (tmp_path / "scans" / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"^```pycon\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    said, names = io.StringIO(), dict[str, object]()
    examples = doctest.DocTestParser().get_examples(block)
    with contextlib.redirect_stdout(said):
        for example in examples:
            exec(compile(example.source, "README.md", "exec"), names)
    # Another CPU's rounding is not the README's.
    shown, printed = (
        re.sub(r"0\.\d+", lambda number: f"{float(number[0]):.4f}", text)
        for text in ("".join(example.want for example in examples), said.getvalue())
    )
    assert printed == shown


def definitions(path: Path) -> set[str]:
    """What a module defines: names, and `Class.method`."""
    found = set[str]()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [one for one in node.body if isinstance(one, ast.FunctionDef)]
            found |= {f"{node.name}.{one.name}" for one in inner}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return found


def test_the_ten_changes_are_made_where_contributing_says() -> None:
    table = rows(section(CONTRIBUTING, "Ten changes, and where they are made"))
    assert len(table) == 10
    for change, file, there in table:
        assert there.strip("`") in definitions(ROOT / file.strip("`")), change


def test_what_is_written_has_the_versions_that_are_told() -> None:
    table = rows(prose(ROOT / "CHANGELOG.md"))
    assert [now for _, now, _ in table] == [
        str(SCHEMA_VERSION), str(card.SCHEMA_VERSION), str(champion.SCHEMA_VERSION),
        NORMALIZER_VERSION,
    ]  # fmt: skip
    told = [
        row[1]
        for title in ("`_run.json`", "A bundle", "A registry")
        for row in rows(section(FILES, title))
        if row[0] == "`schema_version`"
    ]
    assert told == [
        str(SCHEMA_VERSION), str(card.SCHEMA_VERSION), str(champion.SCHEMA_VERSION),
    ]  # fmt: skip
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.slow
def test_the_pages_are_built_strictly_and_fetch_nothing(tmp_path: Path) -> None:
    if importlib.util.find_spec("mkdocs") is None:
        skip_or_fail("mkdocs is not installed: pip install '.[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path]
    answer = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    built = [page.read_text() for page in tmp_path.rglob("*.html")]
    assert len(built) > len(list((ROOT / "docs").glob("*.md")))
    fetched = re.compile(r"<(?:script|img|iframe)[^>]* src=\"?(?:https?:)?//|<link[^>]*//[^>]*css")
    assert not [page for page in built if fetched.search(page)]
    assert "digitrec.read" in (tmp_path / "api" / "index.html").read_text()
