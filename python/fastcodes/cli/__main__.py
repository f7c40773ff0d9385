"""Run the command line as `python -m fastcodes.cli`."""

import sys

from fastcodes.cli import main

sys.exit(main())
