"""Every error that digitrec raises on purpose, each saying what is wrong, where, and what to do.

DigitrecError                 exit 1
├── InputError                exit 2: something given is missing, of the wrong kind, or refused
│   ├── MnistError            MNIST's files can't be had or are not MNIST's
│   └── BundleError           a model that is no bundle, or a damaged one
├── RunError                  exit 1: a run that began and could not finish
└── ScanError                 one scan that can't be read: becomes its row's reason, never an exit
"""

# What a run that could not finish tells, where that is so.
GO_ON = "the same command goes on from there"


class DigitrecError(Exception):
    """Root of the tree; the message is one sentence for the person at the terminal."""

    exit_code = 1


class InputError(DigitrecError):
    """What the user gave can't be used; nothing was started."""

    exit_code = 2


class MnistError(InputError):
    """MNIST can't be fetched, or a file is not the published one."""


class BundleError(InputError):
    """A folder that is no bundle, or whose files do not match its card."""


class RunError(DigitrecError):
    """A run that began and could not finish."""


class ScanError(DigitrecError):
    """One scan that can't be read.

    `code` is one of the stable reason codes (`not-an-image`, `truncated`, `too-large`,
    `unreadable`, `vanished`, `crashed`); `str(error)` is `code: words`.
    """

    def __init__(self, code: str, words: str, *, outage: bool = False) -> None:
        super().__init__(code, words)
        self.code, self.words = code, words
        # Whether its surroundings may be the reason, such as a disk that is not mounted.
        self.outage = outage

    def __str__(self) -> str:
        return f"{self.code}: {self.words}"
