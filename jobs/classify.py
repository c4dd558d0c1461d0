"""`digitrec classify` as a Ray job: `ray job submit --working-dir . -- python jobs/classify.py`."""

import sys

from digitrec.cli import main

if __name__ == "__main__":
    sys.exit(main(["classify", *sys.argv[1:]]))
