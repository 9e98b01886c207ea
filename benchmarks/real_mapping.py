"""
Fluxes in the bands of the nine-band model, from those that a catalogue has.

Each is that of the nearest band, shifted by what the two differ by in simulated
galaxies of these colours (a polynomial of second degree in the colours between the
bands that stand in for others). No redshift is looked at.
"""

import numpy as np
from real_catalogs import as_nine_bands, fluxes, magnitudes
from real_training import drawn_galaxies

NOISE = 0.02  # of the simulated colours, mag: terms must not rest on less


def with_colour_terms(table, *, n=20_000, seed=2):
    """
    Rename bands to those that they stand in for, with colour terms.

    Returns
    -------
    QTable
        As that of `as_nine_bands`.
    """
    mapped = as_nine_bands(table)
    pairs = {k: v for k, v in table.meta["nine"].items() if k != v}
    if not pairs:
        return mapped
    stand_ins = tuple(pairs.values())
    seen = np.isfinite(fluxes(table, stand_ins)[0]).mean(axis=0)
    colours = [b for b, share in zip(stand_ins, seen, strict=True) if share > 0.9]
    bands = (*stand_ins, *pairs)
    flux, *_ = drawn_galaxies(table, bands, n=n, seed=seed)
    mag = dict(zip(bands, -2.5 * np.log10(np.maximum(flux, 1e-3)).T, strict=True))
    rng = np.random.default_rng(seed)
    made = np.stack([mag[band] for band in colours], axis=1)
    made = -np.diff(made + rng.normal(0, NOISE, made.shape), axis=1)
    real = -np.diff(magnitudes(table, colours), axis=1)
    low, high = np.percentile(made, [1, 99], axis=0)
    middle = np.median(made, axis=0)
    real = np.clip(np.where(np.isnan(real), middle, real), low, high)
    inside = np.all((made >= low) & (made <= high), axis=1)
    for target, stand_in in pairs.items():
        difference = (mag[target] - mag[stand_in])[inside]
        terms = np.linalg.lstsq(_terms(made[inside]), difference, rcond=None)[0]
        factor = 10 ** (-0.4 * _terms(real) @ terms)
        for kind in ("flux", "flux_err"):
            mapped[f"{kind}_{target.replace('.', '_')}"] *= factor
    return mapped


def _terms(colours):
    i, j = np.triu_indices(colours.shape[1])
    squares = colours[:, i] * colours[:, j]
    return np.concatenate([np.ones((len(colours), 1)), colours, squares], axis=1)
