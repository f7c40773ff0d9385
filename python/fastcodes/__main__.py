"""Run the command line as `python -m fastcodes`."""

import sys

from fastcodes.cli import main

if __name__ == "__main__":
    sys.exit(main())
