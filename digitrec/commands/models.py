"""`digitrec models`: the bundles of a registry, which of them is in use, and what happened."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitrec.commands.models_forget import add_forget
from digitrec.commands.models_tables import beside, listed, over_time, scored, when
from digitrec.commands.parsing import add_command, shown_name
from digitrec.errors import RunError

if TYPE_CHECKING:
    from digitrec.registry.overview import Kept
    from digitrec.registry.runs import Series
    from digitrec.registry.store import Registry

WHICH = "its id, the beginning of it, or champion"


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "models",
        help="Look at the bundles of a registry, and say which of them is in use.",
        description="Look at the bundles of a registry, and say which of them is in use: the "
        "champion. `--model REGISTRY` takes it, wherever a bundle is taken.",
    )
    kinds = command.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_list(kinds)
    _add_show(kinds)
    _add_compare(kinds)
    _add_check(kinds)
    _add_promote(kinds)
    _add_rollback(kinds)
    add_forget(kinds)


def _add_list(kinds: Any) -> None:
    _add(
        kinds, "list", _list, "List the bundles of a registry, the newest first.",
        "digitrec models list registry",
    )  # fmt: skip


def _add_show(kinds: Any) -> None:
    show = _add(
        kinds,
        "show",
        _show,
        "Show what happened to a bundle, its policies and what it scored; and over time, for all "
        "bundles: how much runs left to review, how far scans were from those of the error "
        "budget's claim, and what audits found.",
        "digitrec models show registry champion --out drift.png",
    )
    show.add_argument(
        "bundle", nargs="?", default="champion", metavar="BUNDLE", help=f"{WHICH}; default: that"
    )
    show.add_argument(
        "--out", type=Path, metavar="PICTURE", help="a PNG, or a folder, for the figures over time"
    )


def _add_compare(kinds: Any) -> None:
    compare = _add(
        kinds, "compare", _compare, "Put what two bundles scored beside each other.",
        "digitrec models compare registry champion 4f7c",
    )  # fmt: skip
    compare.add_argument("first", metavar="A", help=WHICH)
    compare.add_argument("second", metavar="B", help="likewise")


def _add_check(kinds: Any) -> None:
    _add(
        kinds,
        "check",
        _check,
        "Read every entry of the log and every bundle, and say what is wrong. Exit code 1 if "
        "something is.",
        "digitrec models check registry",
    )


def _add_promote(kinds: Any) -> None:
    promote = _add(
        kinds,
        "promote",
        _promote,
        "Make a bundle the champion, without asking the gate; a registry that is not there yet is "
        "made.",
        "digitrec models promote registry runs/cascade",
    )
    promote.add_argument(
        "bundle",
        metavar="BUNDLE",
        help="the id of one that the registry has, or the beginning of it; or the folder of a "
        "bundle or a run, or a name of those shipped with digitrec, of which the registry gets a "
        "copy first",
    )


def _add_rollback(kinds: Any) -> None:
    rollback = _add(
        kinds,
        "rollback",
        _rollback,
        "Take the last promotion back: the champion before it is the champion again. Called "
        "again, it goes further back.",
        "digitrec models rollback registry",
    )
    rollback.add_argument("--to", metavar="BUNDLE", help="any bundle of the registry, by its id")


def _add(kinds: Any, name: str, run: Any, summary: str, example: str) -> Any:
    """Add a command that is about a registry, and has `--json`."""
    command = add_command(kinds, name, run, summary, example)
    command.add_argument("registry", metavar="REGISTRY", help="its folder, or a URI")
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    return command


def _opened(options: argparse.Namespace) -> "Registry":
    from digitrec.registry.store import open_registry

    return open_registry(options.registry)


def _list(options: argparse.Namespace) -> None:
    from digitrec.registry.overview import overview

    kept = overview(_opened(options))
    print(json.dumps([one.to_json() for one in kept]) if options.json else listed(kept))


def _show(options: argparse.Namespace) -> None:
    from digitrec.registry.overview import about, in_words
    from digitrec.registry.runs import series

    registry = _opened(options)
    one = _named(registry, options.bundle)
    events: list[dict[str, Any]] = [
        {"number": entry.number, "time": entry.time, "words": in_words(entry, one.id)}
        for entry in about(list(registry.history()), one.id)
    ]
    known = series(registry)
    picture = None if options.out is None else _draw(known, options.out)
    if options.json:
        print(json.dumps(_as_json(one, events, known)))
        return
    print(f"bundle       {one.id}, {one.what} of {registry.name}")
    for event in events:
        print(f"{event['number']:>6}       {when(event['time'])}  {event['words']}")
    if one.damage is not None:
        print(f"damaged: {one.damage}")
    if one.card is not None and (table := scored(one.card)):
        print(f"\n{table}")
    print(f"\n{over_time(known)}")
    if picture is not None:
        print(f"\npicture      {picture}")


def _as_json(one: "Kept", events: list[dict[str, Any]], known: "Series") -> dict[str, Any]:
    card = one.card
    return {
        **one.to_json(),
        "log": events,
        "policies": [] if card is None else [policy.to_json() for policy in card.policies],
        "scorecard": {} if card is None else card.scorecard,
        "runs": [asdict(run) for run in known.runs],
        "audits": [asdict(audit) for audit in known.audits],
    }


def _draw(known: "Series", out: Path) -> Path:
    from digitrec.plots.drift import drift_picture

    path = out if out.suffix.lower() == ".png" else out / "drift.png"
    drift_picture(known, path)
    return path


def _named(registry: "Registry", name: str) -> "Kept":
    """Find one of a registry's bundles by what a user calls it."""
    from digitrec.registry.overview import overview

    identity = registry.id_of(name)
    return next(one for one in overview(registry) if one.id == identity)


def _compare(options: argparse.Namespace) -> None:
    from digitrec.registry.overview import figures

    registry = _opened(options)
    first, second = (
        figures(registry, _named(registry, name)) for name in (options.first, options.second)
    )
    print(json.dumps([first, second]) if options.json else beside(first, second))


def _check(options: argparse.Namespace) -> None:
    from digitrec.registry.check import look_through

    registry = _opened(options)
    found = look_through(registry)
    if options.json:
        print(json.dumps(asdict(found)))
    else:
        for title, lines in (("wrong", found.problems), ("left over", found.leftovers)):
            for line in lines:
                print(f"{title:<13}{line}")
    if found.problems:
        raise RunError(f"{registry.name} is damaged, in {len(found.problems)} places")
    if not options.json:
        last = registry.last()
        print(
            f"{registry.name}: {last and last.number} entries and {len(registry.registered())} "
            "bundles, as they must be"
        )


def _promote(options: argparse.Namespace) -> None:
    from digitrec.model.bundle import is_bundle
    from digitrec.registry.store import is_registry, make_registry

    if not is_registry(options.registry):
        registry = make_registry(options.registry, options.bundle)
        _say_champion(registry, options)
        return
    registry = _opened(options)
    expected = registry.champion()
    known = any(
        entry.fields["bundle"].startswith(options.bundle) for entry in registry.registered()
    )
    identity = (
        registry.register(options.bundle)
        if is_bundle(options.bundle) and not known
        else registry.id_of(options.bundle)
    )
    registry.promote(identity, expected=expected, why="by hand")
    _say_champion(registry, options)


def _rollback(options: argparse.Namespace) -> None:
    registry = _opened(options)
    registry.rollback(None if options.to is None else registry.id_of(options.to))
    _say_champion(registry, options)


def _say_champion(registry: "Registry", options: argparse.Namespace) -> None:
    """Say who is the champion now, and how that is undone."""
    last = registry.last()
    assert last is not None
    if options.json:
        print(json.dumps(last.to_json()))
        return
    from digitrec.model.champion import PROMOTION

    replaced = last.fields.get("replaces")
    print(f"champion     {last.champion}{f', in place of {replaced}' if replaced else ''}")
    if replaced:
        what = ("rollback", "") if last.kind == PROMOTION else ("promote", f" {replaced}")
        print(f"undo         digitrec models {what[0]} {shown_name(options.registry)}{what[1]}")
