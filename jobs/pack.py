"""`digitrec pack` as a Ray job: `ray job submit --working-dir . -- python jobs/pack.py`."""

import sys

from digitrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["pack", *sys.argv[1:]]))
