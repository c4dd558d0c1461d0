"""`digitrec models forget`: scans are taken out of a registry's data."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from digitrec.commands.parsing import add_command
from digitrec.runtime.terminal import decoders_silent


def add_forget(kinds: Any) -> None:
    """Add the command to `models`."""
    command = add_command(
        kinds,
        "forget",
        _forget,
        "Take scans out of a registry's data, and their near-copies; name the bundles that were "
        "trained on them, which stay as they are.",
        "digitrec models forget registry scans/17.png",
    )
    command.add_argument("registry", metavar="REGISTRY", help="its folder, or a URI")
    command.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a scan: its file, its path as it was in the corrections, or the beginning of its "
        "SHA-256, 8 digits or more",
    )
    command.add_argument("--json", action="store_true", help="print the answer as JSON")


def _forget(options: argparse.Namespace) -> None:
    from digitrec.model.champion import REMOVAL
    from digitrec.registry.removal import find, remove
    from digitrec.registry.store import clear_work, open_registry
    from digitrec.storage.lock import exclusive

    registry = open_registry(options.registry)
    with exclusive(registry.folder, registry.location), decoders_silent():
        found = find(registry.folder, options.paths)
        # Said first: whoever is stopped in between finds the scans again, and says it again.
        registry.add(REMOVAL, scans=found.removed, bundles=sorted(found.bundles))
        remove(registry.folder, found.removed)
        clear_work(registry)  # pictures of a training that was stopped may show them
    if options.json:
        print(json.dumps(asdict(found)))
        return
    near = f", {len(found.near):,} of them as near-copies" if found.near else ""
    print(f"removed      {len(found.removed):,} scans{near}")
    for name in found.removed:
        print(f"             {name[:12]}{' (near-copy)' if name in found.near else ''}")
    for bundle, count in sorted(found.bundles.items()):
        print(f"trained on   {bundle}: {count:,} of them")
    if found.bundles:
        print("             a bundle holds no scan, but what it learnt from them; roll back to")
        print("             one that is not named here, and retrain")
    for page in found.reports:
        print(f"may show it  {page}: delete it")
