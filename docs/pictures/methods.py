"""What recalibration and a refit gain, by the number of spectroscopic redshifts."""

from pathlib import Path

import matplotlib.pyplot as plt
from astropy.table import Table

folder = Path("benchmarks")
truths = Table.read(folder / "recalibration_truths.csv", comment="#", format="csv")
refit = Table.read(folder / "refit.csv", comment="#", format="csv")
KINDS = {"narrow": "half as wide", "wide": "twice as wide", "shifted": "shifted"}

fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")
colors = ["#3182bd", "#e6550d", "#31a354"]
for (kind, label), color in zip(KINDS.items(), colors, strict=True):
    rows = truths[truths["wrong"] == kind]
    before, after = (rows[rows["method"] == name] for name in ("none", "best"))
    left.plot(after["truths"], after["pit_ks"], "o-", color=color, label=label)
    left.axhline(before["pit_ks"][0], color=color, ls=":")
left.set(xscale="log", xlabel="Galaxies with z_spec", ylim=(0, None))
left.set(ylabel="Distance of the PIT from uniform", title="recalibrate")
left.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.62))
for method, marker in (("logistic", "o"), ("ridge", "s")):
    rows = refit[(refit["galaxies"] == "zero points") & (refit["method"] == method)]
    gain = [int(text.rstrip(" %")) for text in rows["sigma_nmad"]]
    right.plot(rows["labels"], gain, f"{marker}-", label=method)
right.axhline(0, color="0.5", ls=":")
right.set(xscale="log", xlabel="Galaxies with z_spec", ylim=(-50, 5))
right.set(ylabel="Change of sigma_nmad (%)", title="refit, zero points off")
right.legend(frameon=False)
