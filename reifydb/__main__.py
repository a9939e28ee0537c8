"""`python -m reifydb`: the same as the command `reifydb`."""

import sys

from reifydb.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
