"""`python -m inrcodec` is the command `inrcodec`."""

import sys

from inrcodec.cli import main

if __name__ == "__main__":
    sys.exit(main())
