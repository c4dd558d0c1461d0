"""`digitrec study` as a Ray job: `ray job submit --working-dir . -- python jobs/study.py`."""

import sys

from digitrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["study", *sys.argv[1:]]))
