"""The report of targets that are fainter than the reference."""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

from mantis_astro.plotting import plot_shift
from mantis_astro.shift import ShiftReport

rng = np.random.default_rng(1)


def made(n, fainter=0.0):
    """Magnitudes and colours of n galaxies."""
    mag = rng.normal(19 + fainter, 0.8, n)
    return Table({"r": mag, "g-r": 0.6 + 0.1 * (mag - 19) + rng.normal(0, 0.2, n)})


training, mine = made(600), made(400, fainter=1.0)
report = ShiftReport.compare(training, mine, rng=1)
plot_shift(report, figure=plt.figure(figsize=(10.5, 3.2), layout="constrained"))
