"""Kernels and shift: what two papers find, as the benchmarks measured it."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

TABLES = Path("benchmarks")  # beside this page, where the docs are built

kernels = Table.read(TABLES / "kernel_surrogates.csv", comment="#", format="csv")
regression = np.array(["exp" in name for name in kernels["experiment"]])
last = kernels[regression & (np.array(kernels["epoch"]) == 1200)]
text = Table.read(TABLES / "text_shift.csv", comment="#", format="csv")
auc = {
    encoder: [
        float(row["measured"])
        for row in text
        if row["encoder"] == encoder and row["quantity"].startswith("domain AUC, ")
    ]
    for encoder in ("MiniLM", "n-grams")
}

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
names = [name.replace(" 2 pi", " 2π") for name in last["experiment"]]
left.barh(names, last["CK/NTK"], color="#3182bd", height=0.6)
ranges = np.array([seeds.split(" to ") for seeds in last["seeds"]], float)
left.hlines(names, *ranges.T, color="black", lw=1.5)
left.axvline(1, color="black", lw=1)
left.set_xlabel("Test error, conjugate / tangent kernel")
left.invert_yaxis()
place = np.arange(len(auc))
different, same = np.array(list(auc.values())).T
right.bar(place - 0.18, different, 0.36, label="M against P", color="#e6550d")
right.bar(place + 0.18, same, 0.36, label="P against P", color="#9ecae1")
right.axhline(0.5, color="black", lw=1, ls=":")
right.set(ylim=(0.4, 1.1), ylabel="AUC (0.5 is chance)")
right.set_xticks(place, auc)
right.legend(frameon=False, loc="upper center", ncols=2)
