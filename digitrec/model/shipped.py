"""The bundles that come with the package, by the names that `--model` takes."""

from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"
# The cascade's members lie in its folder.
SHIPPED = {
    "small": ASSETS / "cascade" / "small",
    "large": ASSETS / "cascade" / "large",
    "cascade": ASSETS / "cascade",
}
DEFAULT = "cascade"
# What `--max-error` takes beside a number: as the bundle says; and none at all.
DEFAULT_BUDGET, NO_BUDGET = "default", "none"


def shipped_ink() -> bytes:
    """Return the ONNX file of the ink network that comes with the package."""
    return (ASSETS / "ink" / "ink.onnx").read_bytes()
