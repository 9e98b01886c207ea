"""``python -m mantis_astro`` is the command ``mantis-astro``."""

import sys

from mantis_astro.cli import main

sys.exit(main())
