"""Accuracy of other codes on the same rows."""

from pathlib import Path

import matplotlib.pyplot as plt
from astropy.table import Table

peers = Table.read(Path("benchmarks") / "photoz_peers.csv", comment="#", format="csv")
samples = ["Stripe 82", "zCOSMOS", "SDSS"]
fig, axes = plt.subplots(1, 3, figsize=(8.4, 3.2), layout="constrained")
for ax, sample in zip(axes, samples, strict=True):
    for row in peers[peers["sample"] == sample]:
        ours = row["method"].startswith("any-band")
        color = "#e6550d" if ours else "#3182bd"
        unseen = row["learnt"].startswith("nothing")
        x, y = 100 * row["beyond_005"], row["sigma_nmad"]
        ax.plot(x, y, "o", color=color, mfc="white" if unseen else color)
        ax.annotate(
            row["method"].replace(", ", ",\n"),
            (x, y),
            xytext=(5, -11 if row["method"] in {"FlexZBoost", "GPz"} else 4),
            textcoords="offset points",
            fontsize=7.5,
            color=color,
        )
    ax.set(title=f"{sample} ({row['n']:,})", xlabel="Beyond 0.05 (%)")
    ax.margins(0.35, 0.25)
axes[0].set_ylabel("sigma_nmad")
