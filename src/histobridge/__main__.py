"""`python -m histobridge` is the command `histobridge`."""

import sys

from histobridge.cli import main

if __name__ == "__main__":
    sys.exit(main())
