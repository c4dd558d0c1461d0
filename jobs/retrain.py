"""`digitrec retrain` as a Ray job: `ray job submit --working-dir . -- python jobs/retrain.py`."""

import sys

from digitrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["retrain", *sys.argv[1:]]))
