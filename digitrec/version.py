"""The version of digitrec: said by `--version`, and kept in every card and result."""

__version__ = "0.1.0"
