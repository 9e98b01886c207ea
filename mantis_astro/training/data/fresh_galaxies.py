"""A test of a model on simulated galaxies that no training has seen."""

import numpy as np

from mantis_astro.bands import get_band
from mantis_astro.flags import Flag, missing_flags
from mantis_astro.models.inputs import NetworkInput
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.progress import progress_bar
from mantis_astro.training.data.simulated import SimulatedData, SimulatedGalaxies

__all__ = ["iter_simulated", "predict_simulated"]

_BATCH = 256


def iter_simulated(card, n, *, seed=1000, donors="test", neighbours=True):
    """
    Simulate galaxies as a model reads them.

    Parameters
    ----------
    card : ModelCard
        The model's: it must read images on a common grid, or photometry.
    n : int
        Number of galaxies, drawn as nature draws them.
    seed : int, optional
        Seed of the population. Models of the package were trained on small seeds.
    donors : {"test", "validation", "train", "all"}, optional
        Whose spectra, see `~mantis_astro.simulation.GalaxyPopulation`.
    neighbours : bool, optional
        Whether there are other galaxies and stars in the images.

    Yields
    ------
    prepared : NetworkInput
        Of at most 256 galaxies.
    z_spec : `~numpy.ndarray`
        Their redshifts; NaN for those beyond the model's bins.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the model reads something that is
        not simulated; `ValueError` if ``n`` is not positive.
    ImportError
        If kcorrect is not installed.
    """
    if n < 1:
        msg = f"'n' must be at least 1 galaxy, got {n}"
        raise ValueError(msg)
    record = SimulatedData(
        population_seed=seed - 1,  # it validates on the next
        validation_donors=donors,
        neighbours=neighbours,
    )
    galaxies = SimulatedGalaxies(
        record, card.spec, z_edges=card.z_edges, sampling="natural", n_validation=n
    )
    bands = [get_band(band) for band in card.bands]
    for batch in galaxies.held_out(n, _BATCH):
        ready, observed = batch.encoded(card.spec), batch.observed.numpy()
        usable = observed.any(axis=1)
        flags = missing_flags(observed, bands)
        flags[~usable] |= Flag.NO_DATA
        z_spec = batch.z.numpy().copy()
        z_spec[z_spec >= card.z_edges[-1]] = np.nan  # training counts them as the end
        yield NetworkInput(ready.images, ready.ebv, flags, usable), z_spec


def predict_simulated(
    photoz, n, *, seed=1000, donors="test", neighbours=True, progress=True
):
    """
    Predict redshifts of simulated galaxies that no training has seen.

    Parameters
    ----------
    photoz : PhotoZ
        The model.
    n : int
        Number of galaxies.
    seed, donors, neighbours : optional
        As for `iter_simulated`.
    progress : bool, optional
        Whether to show a progress bar, in a terminal or a notebook.

    Returns
    -------
    pdf : RedshiftPDF
        Shape (n,); ``meta`` says what made it.
    z_spec : `~numpy.ndarray`
        The true redshifts, shape (n,); NaN for those beyond the model's bins.

    Raises
    ------
    ValueError
        As `iter_simulated`.
    """
    probability, flags, truths = [], [], []
    galaxies = iter_simulated(
        photoz.card, n, seed=seed, donors=donors, neighbours=neighbours
    )
    with progress_bar(n, wanted=progress) as update:
        for prepared, z_spec in galaxies:
            answer = photoz.infer(prepared)
            probability.append(answer.probability)
            flags.append(answer.flags)
            truths.append(z_spec)
            update(sum(map(len, truths)))
    pdf = RedshiftPDF(
        photoz.card.bin_edges,
        np.concatenate(probability),
        flags=np.concatenate(flags),
        meta=photoz.provenance(),
    )
    return pdf, np.concatenate(truths)
