"""Time to import the package, beside what it cannot do without."""

import subprocess
import sys

from astropy.table import Table
from harness import interleaved, run

BASE = "import astropy.table, astropy.coordinates, astropy.wcs, astropy.nddata"
STATEMENTS = {
    "astropy table, coordinates, wcs, nddata": BASE,
    "import mantis_astro": "import mantis_astro",
    "RedshiftPDF, MultibandCutout": (
        "from mantis_astro import RedshiftPDF, MultibandCutout"
    ),
    "PhotoZ (torch)": "from mantis_astro import PhotoZ",
}


def benchmark(short):
    """Start fresh interpreters and import, in turn."""
    seconds = interleaved(
        {
            name: lambda code=code: subprocess.run(
                [sys.executable, "-c", code], check=True
            )
            for name, code in STATEMENTS.items()
        },
        repeats=5 if short else 15,
    )
    base = seconds["astropy table, coordinates, wcs, nddata"]
    return Table(
        {
            "import": list(seconds),
            "seconds": [round(s, 3) for s in seconds.values()],
            "ratio": [round(s / base, 2) for s in seconds.values()],
        },
        meta={"title": "Import time of a fresh interpreter, its start included"},
    )


if __name__ == "__main__":
    run(benchmark, "import_time")
