"""
Compare the simulated galaxies with real ones: redshifts, magnitudes, colours.

Galaxies are drawn through the filters of each catalogue and cut as it is; printed are
medians of the colours in bins of redshift, and how wide they are.
Stripe 82 has no simple selection (radio sources), so each of its red galaxies is
compared with the red simulated ones of nearest redshift and magnitude. It gave no
donors; of the other tables only fold 1, which gave none, is compared.

With ``--output DIR`` the table is written there, and a figure.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from fit_population import photometry
from harness import run
from real_catalogs import (
    REAL_DATA,
    read_sdss,
    read_stripe82,
    read_zcosmos,
    register_surveys,
)
from scipy.spatial import cKDTree

from mantis_astro.bands import get_bands
from mantis_astro.simulation import DEFAULT_MIX, GalaxyPopulation, Subsample

N = 40000
SDSS = ["sdss.u", "sdss.g", "sdss.r", "sdss.i", "sdss.z", "twomass.J", "twomass.Ks"]
ZCOSMOS = ["cosmos.u", "cosmos.B", "cosmos.V", "cosmos.r", "cosmos.i", "cosmos.z"]
ZCOSMOS += ["cosmos.K"]
STRIPE82 = ["des.g", "des.r", "des.i", "des.z", "des.Y", "unwise.W1", "unwise.W2"]


def simulate(bands, mix):
    """Magnitudes without Galactic dust, and redshifts."""
    population = GalaxyPopulation(seed=5, mix=mix, bands=get_bands(bands))
    sample = population.draw(N)
    clear = 10 ** (0.4 * sample.extinction * sample.ebv[:, None])
    with np.errstate(divide="ignore"):
        return 31.4 - 2.5 * np.log10(sample.flux * clear), sample.z


def sdss():
    """Main galaxies that 2MASS resolves."""
    table = read_sdss()
    table = table[table["fold"] == 1]
    bands = dict.fromkeys(SDSS)
    real, _ = photometry(table, bands)
    main = Subsample("main", 1, "sdss.r", faint=17.77, z_range=(0.01, 0.4))
    made, z = simulate(SDSS, (main,))

    def keep(mag):
        return (mag[:, 2] < 17.77) & (mag[:, 6] < 15.9)

    z_real, a, b = np.asarray(table["z_spec"]), keep(real), keep(made)
    return "SDSS main, K < 15.9", SDSS, (real[a], z_real[a]), (made[b], z[b])


def zcosmos():
    """Flux-limited in i."""
    table = read_zcosmos()
    table = table[table["fold"] == 1]
    real, _ = photometry(table, dict.fromkeys(ZCOSMOS))
    deep = Subsample("deep", 1, "cosmos.i", bright=18, faint=22.5, z_range=(0.03, 1.3))
    made, z = simulate(ZCOSMOS, (deep,))
    keep = (real[:, 4] > 18) & (real[:, 4] < 22.5)
    z_real = np.asarray(table["z_spec"])
    return "zCOSMOS, i < 22.5", ZCOSMOS, (real[keep], z_real[keep]), (made, z)


def stripe82():
    """Each real galaxy's nearest simulated ones."""
    table = read_stripe82()
    real, _ = photometry(table, dict.fromkeys(STRIPE82))
    # colours of all the light, as simulated; the reader's are those of an aperture
    real[:, :4] += _aperture_loss(table)
    z_real = np.asarray(table["z_spec"])
    mix = tuple(replace(s, share=1.0) for s in DEFAULT_MIX if s.name != "elg")
    made, z = simulate(STRIPE82, mix)

    def place(mag, z):
        return np.stack([np.log1p(z) / 0.02, mag[:, 2] / 0.3], axis=1)

    use = np.isfinite(real[:, 2])
    real, z_real = real[use], z_real[use]
    # nearly all that radio galaxies are is red
    real, z_real = red(real, z_real)
    made, z = red(made, z)
    nearest = cKDTree(place(made, z)).query(place(real, z_real), k=5)[1].ravel()
    title = "Stripe 82, red, matched"
    return title, STRIPE82, (real, z_real), (made[nearest], z[nearest])


def _aperture_loss(table):
    """AUTO less aperture magnitudes in griz, on the scale of i, for the same rows."""
    data = Table.read(REAL_DATA / "catalogs/stripe82_des_allwise.csv")
    coords = SkyCoord(data["ra"], data["dec"], unit="deg")
    data = data[table["coord"].match_to_catalog_sky(coords)[0]]
    loss = np.stack([data[f"des_{b}"] - data[f"des_{b}_aper6"] for b in "griz"], axis=1)
    return loss - loss[:, 2:3]


def red(mag, z):
    """Those on the red side of a line half a magnitude below the red sequence."""
    line = np.interp(
        z, [0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8], [0.7, 0.85, 1.1, 1.4, 1.65, 1.95, 2.1]
    )
    with np.errstate(invalid="ignore"):
        keep = mag[:, 0] - mag[:, 2] > line
    return mag[keep], z[keep]


def compare(title, bands, real, made, edges):
    """Rows of a table: simulated less real colours in bins of redshift."""
    names = [b.split(".")[1] for b in bands]
    for low, high in pairwise(edges):
        rows = [m[(z >= low) & (z < high)] for m, z in (real, made)]
        if min(map(len, rows)) < 15:
            continue
        for j, pair in enumerate(pairwise(names)):
            colours = [row[:, j] - row[:, j + 1] for row in rows]
            low16, middle, high84 = np.transpose(
                [np.percentile(c[np.isfinite(c)], [16, 50, 84]) for c in colours]
            )
            width = high84 - low16
            yield {
                "sample": title,
                "z": f"{low:.2f} - {high:.2f}",
                "N real": len(rows[0]),
                "colour": "-".join(pair),
                "real": middle[0],
                "simulated": middle[1],
                "simulated - real": middle[1] - middle[0],
                "ratio of widths": width[1] / width[0],
            }


def benchmark(short):
    """Colours of simulated galaxies against those of real ones."""
    if not REAL_DATA.is_dir():
        return Table({"note": [f"no real data at {REAL_DATA}: nothing compared"]})
    register_surveys()
    rows = []
    for make, edges, colour in (
        (sdss, [0.01, 0.04, 0.07, 0.1, 0.13, 0.16, 0.2, 0.3], (1, 2)),
        (zcosmos, [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.2], (2, 4)),
        (stripe82, [0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9], (0, 2)),
    ):
        title, bands, real, made = make()
        rows += compare(title, bands, real, made, edges[:: 2 if short else 1])
        for what, (_, z) in (("real", real), ("simulated", made)):
            quantiles = np.percentile(z, [5, 25, 50, 75, 95]).round(3)
            print(f"{title}, {what}: {len(z)}, z at 5, 25, 50, 75, 95 % {quantiles}")
        SHOWN.append((title, bands, real, made, edges, colour))
    table = Table(rows)
    for name in ("real", "simulated", "simulated - real"):
        table[name].format = "+.3f"
    table["ratio of widths"].format = ".2f"
    table.meta["title"] = (
        "Median colours of simulated and real galaxies, AB mag without Galactic dust, "
        "and the ratio of their widths (16 to 84 %)"
    )
    return table


SHOWN = []


def draw(shown, path):
    """Redshifts and one colour against redshift, real and simulated."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(3, 3, figsize=(11, 9), layout="constrained")
    for row, (title, bands, real, made, edges, (i, j)) in zip(axes, shown, strict=True):
        bins = np.linspace(edges[0], edges[-1], 30)
        for (mag, z), name, style in ((real, "real", "k"), (made, "simulated", "C1")):
            row[0].hist(z, bins, density=True, histtype="step", color=style, label=name)
            r = np.linspace(*np.nanpercentile(real[0][:, j], [0.5, 99.5]), 30)
            row[1].hist(
                mag[:, j], r, density=True, histtype="step", color=style, label=name
            )
        names = [b.split(".")[1] for b in bands]
        row[0].set(xlabel="z", ylabel="density", title=title)
        row[1].set(xlabel=f"{names[j]} [AB mag]")
        for (mag, z), style, size in ((made, "C1", 0.3), (real, "k", 1.5)):
            some = np.random.default_rng(1).permutation(len(z))[:3000]
            colour = mag[some, i] - mag[some, j]
            row[2].plot(z[some], colour, ".", color=style, ms=size + 0.7, alpha=0.35)
        clean = real[0][:, i] - real[0][:, j]
        low, high = np.nanpercentile(clean, [1, 99])
        row[2].set(
            xlabel="z",
            ylabel=f"{names[i]} - {names[j]} [mag]",
            xlim=(edges[0], edges[-1]),
            ylim=(low - 0.3, high + 0.3),
        )
        row[0].legend(frameon=False)
    figure.savefig(path, dpi=75)


if __name__ == "__main__":
    output = run(benchmark, "population_figure")
    if output is not None and SHOWN:
        draw(SHOWN, output / "population_figure.png")
