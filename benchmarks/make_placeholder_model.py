"""
Make the two small models inside the package, from galaxies that are made up.

They let every example run offline and are not for science: spectra are four slopes and
a break, shapes are circles, noise is white. Run it again after a change of network
or input: ``python benchmarks/make_placeholder_model.py`` (about ten minutes on a core).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from mantis_astro.bands import get_band
from mantis_astro.extinction import extinction_coefficients
from mantis_astro.models import (
    CommonGrid,
    EarlyFusionConfig,
    EncoderConfig,
    InputSpec,
    ModelCard,
    PhotometricConfig,
    PhotometrySpec,
    build_network,
    predict_probability,
    save_model,
)
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.simulation.made_spectra import (
    Z_MAX,
    draw_made_galaxies,
    made_fluxes,
)

BANDS = [get_band(name) for name in PUBLISHED_BANDS]
N_BINS, SIDE = 200, 32  # the grid has pixels of 1"
# Depth of a point source at five sigma (AB), roughly that of the surveys.
DEPTH = np.array([20.8, 19.9, 23.3, 23.2, 23.1, 22.3, 21.3, 20.7, 20.0])
FWHM = np.array([5.3, 4.2, 1.31, 1.19, 1.11, 1.07, 1.02, 6.1, 6.4])  # arcsec
POINT_NOISE = 3631e9 * 10 ** (-0.4 * DEPTH) / 5  # nJy
PIXEL_NOISE = POINT_NOISE / np.sqrt(4 * np.pi) / (FWHM / 2.355)  # nJy per arcsec^2
MISSING = {"galex": 0.25, "ps1": 0.03, "unwise": 0.05}

SAMPLE = (
    "made-up galaxies: 0 < z < 1 drawn uniformly, 15 < i < 21.5, spectra of four "
    "slopes and a 4000 A break, round profiles between exponential and Gaussian, white "
    "noise at the depth of GALEX AIS, PS1 and unWISE, bands missing at random"
)
CAVEATS = (
    "a stand-in so that examples and tests run offline; never trained on real "
    "galaxies, and not for science"
)


def draw_galaxies(n, rng):
    """Redshift (n,), flux (n, 9) in nJy without noise, and E(B-V) (n, 2)."""
    z, kind, mag_i = draw_made_galaxies(n, rng)
    log_flux = np.log10(made_fluxes(z, kind, mag_i, BANDS))
    log_flux += rng.normal(0, 0.02, log_flux.shape)
    ebv = np.minimum(rng.exponential(0.04, n), 0.3)[:, None]
    coefficients = np.array(list(extinction_coefficients(BANDS).values()))
    log_flux -= 0.4 * ebv * coefficients
    maps = ebv * rng.normal([1.0, 1.15], 0.08, (n, 2))
    return z, 10**log_flux, np.maximum(maps, 0)


def draw_missing(n, rng):
    """Whether each band is there, (n, 9)."""
    there = np.ones((n, len(BANDS)), bool)
    for survey, fraction in MISSING.items():
        mine = [j for j, band in enumerate(BANDS) if band.survey == survey]
        there[:, mine] &= rng.random((n, 1)) > fraction
        there[:, mine] &= rng.random((n, len(mine))) > fraction / 3
    return there


def draw_images(flux, there, rng):
    """Images (n, 9, 32, 32) in nJy per pixel of one arcsec."""
    n = len(flux)
    mag = 31.4 - 2.5 * np.log10(flux[:, PUBLISHED_BANDS.index("ps1.i")])
    size = np.exp(rng.normal(0.1 - 0.12 * (mag - 18), 0.35, n))[:, None]  # arcsec
    centre = (SIDE - 1) / 2 + rng.uniform(-0.3, 0.3, (2, n, 1))
    at = np.arange(SIDE)
    images = np.zeros((n, len(BANDS), SIDE, SIDE), np.float32)
    sigma_psf = FWHM / 2.355
    concentration = rng.uniform(0, 1, (n, 1))
    # two Gaussians imitate profiles between Gaussian and exponential
    for weight, scale in ((1 - concentration / 2, 0.7), (concentration / 2, 1.6)):
        sigma = np.hypot(size * scale, sigma_psf)[..., None]  # (n, 9, 1)
        y, x = (
            np.exp(-0.5 * ((at - c[:, None]) / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)
            for c in centre
        )  # (n, 9, 32) each
        images += (
            (weight * flux)[..., None, None] * y[..., None] * x[:, :, None]
        ).astype(np.float32)
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    images += noise * PIXEL_NOISE[:, None, None].astype(np.float32)
    return images * there[:, :, None, None]


def image_batch(spec, n, rng):
    z, flux, ebv = draw_galaxies(n, rng)
    images = draw_images(flux, draw_missing(n, rng), rng)
    softening = np.array([s.softening for s in spec.stretch], np.float32)
    images = np.arcsinh(images / softening[:, None, None])
    return z, torch.from_numpy(images), torch.from_numpy(ebv.astype(np.float32))


def table_batch(spec, n, rng):
    from astropy.table import Table

    z, flux, ebv = draw_galaxies(n, rng)
    there = draw_missing(n, rng)
    error = np.hypot(POINT_NOISE * rng.uniform(1, 3, (n, 1)), 0.02 * flux)
    flux = np.where(there, flux + rng.normal(0, error), np.nan)
    known = rng.random(n) > 0.1  # some catalogues have no errors
    table = Table()
    for j, band in enumerate(spec.bands):
        name, name_err = spec.columns(band)
        table[name], table[name_err] = flux[:, j], np.where(known, error[:, j], np.nan)
        table[name].unit = table[name_err].unit = "nJy"
    prepared = spec.to_tensor(table, ebv)
    return z, prepared.images, prepared.ebv


def train(card, draw, steps, batch, seed, rate):
    """Cross entropy, fresh galaxies at every step, average of the weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = build_network(card.network).train()
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99)
    )
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    start = time.perf_counter()
    for step in range(steps):
        z, images, ebv = draw(card.spec, batch, rng)
        label = np.searchsorted(card.bin_edges, z, side="right") - 1
        loss = functional.cross_entropy(network(images, ebv), torch.from_numpy(label))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        if step % 100 == 0:
            print(f"{step:5d}  {loss.item():.3f}  {time.perf_counter() - start:.0f} s")
    return average.module.eval()


def report(network, card, draw, seed=1):
    z, images, ebv = draw(card.spec, 4096, np.random.default_rng(seed))
    p = predict_probability(network, images, ebv)
    middle = (card.bin_edges[1:] + card.bin_edges[:-1]) / 2
    median = middle[(p.cumsum(1) < 0.5).sum(1)]
    delta = (median - z) / (1 + z)
    nmad = 1.4826 * np.median(np.abs(delta - np.median(delta)))
    n_weights = sum(p.numel() for p in network.parameters())
    print(
        f"{card.name}: {n_weights} weights; on made-up galaxies sigma_nmad {nmad:.4f}, "
        f"|delta_z| > 0.15: {np.mean(np.abs(delta) > 0.15):.1%}"
    )


def cards():
    edges = tuple(np.linspace(0, Z_MAX, N_BINS + 1).round(6).tolist())
    common = {
        "z_edges": edges,
        "training_sample": SAMPLE,
        "training_prior": "uniform in z",
        "caveats": CAVEATS,
        "licence": "BSD-3-Clause",
        "placeholder": True,
    }
    images = InputSpec(
        PUBLISHED_BANDS,
        CommonGrid((SIDE, SIDE), 1.0),
        tuple(FluxAsinhStretch(float(f"{2 * noise:.2g}")) for noise in PIXEL_NOISE),
    )
    early = ModelCard(
        name="placeholder-early",
        network=EarlyFusionConfig(
            EncoderConfig(len(BANDS), (1, 1), (32, 96), kernel_size=5),
            n_bins=N_BINS,
            hidden=96,
            aperture_radii=(1.5, 3.0, 6.0, 12.0),
        ),
        spec=images,
        description="Placeholder, not for science: early fusion of nine bands",
        **common,
    )
    table = PhotometrySpec(
        PUBLISHED_BANDS, tuple(float(f"{noise:.2g}") for noise in POINT_NOISE)
    )
    photometric = ModelCard(
        name="placeholder-photometric",
        network=PhotometricConfig(table.n_inputs, N_BINS, widths=(128, 128), hidden=96),
        spec=table,
        description="Placeholder, not for science: fluxes in nine bands",
        **common,
    )
    return early, photometric


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parents[1] / "mantis_astro" / "models" / "data",
    )
    arguments = parser.parse_args()
    early, photometric = cards()
    for card, draw, steps, batch, rate in (
        (photometric, table_batch, 2 * arguments.steps, 512, 3e-3),
        (early, image_batch, arguments.steps, 192, 3e-3),
    ):
        network = train(card, draw, steps, batch, seed=0, rate=rate)
        report(network, card, draw)
        save_model(arguments.output / f"{card.name}.safetensors", network, card)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
