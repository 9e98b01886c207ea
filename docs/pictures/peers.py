"""Accuracy of other codes on the same rows."""

from pathlib import Path

import matplotlib.pyplot as plt
from astropy.table import Table

peers = Table.read(Path("benchmarks") / "photoz_peers.csv", comment="#", format="csv")
MARKERS = {
    "any-band": "o",
    "any-band, fine-tuned": "o",
    "own bands": "s",
    "eazy-py": "P",
    "BPZ": "X",
    "FlexZBoost": "D",
    "GPz": "v",
    "neighbours": "^",
    "forest": "*",
}
samples = ["Stripe 82", "zCOSMOS", "SDSS", "DC2"]
fig, axes = plt.subplots(2, 2, figsize=(8.4, 5.8), layout="constrained")
shown = {}
for ax, sample in zip(axes.flat, samples, strict=True):
    for row in peers[peers["sample"] == sample]:
        method = row["method"]
        color = "#e6550d" if method.startswith(("any-band", "own")) else "#3182bd"
        unseen = row["learnt"].startswith("nothing")
        (shown[method],) = ax.plot(
            100 * row["beyond_005"],
            row["sigma_nmad"],
            MARKERS[method],
            color=color,
            mfc="none" if unseen else color,
            ms=9 if MARKERS[method] == "*" else 6,
            ls="none",
        )
    ax.set_title(f"{sample} ({row['n']:,})")
    ax.margins(0.12)
for ax in axes[1]:
    ax.set_xlabel("Beyond 0.05 (%)")
for ax in axes[:, 0]:
    ax.set_ylabel("sigma_nmad")
names = [method for method in MARKERS if method in shown]
fig.legend([shown[name] for name in names], names, loc="outside right", frameon=False)
