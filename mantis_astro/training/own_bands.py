"""`train_photometric`: a network for the bands of one's own table, in one call."""

from dataclasses import replace

import numpy as np

from mantis_astro.bands import get_bands
from mantis_astro.binned import true_redshift
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import find_ebv, resolve_ebv
from mantis_astro.fluxes import find_bands, read_fluxes
from mantis_astro.models import ModelCard, PhotometricConfig, PhotometrySpec
from mantis_astro.photoz import PhotoZ
from mantis_astro.training.configuration import InitializationConfig
from mantis_astro.training.finetuning import finetune
from mantis_astro.training.optimization.initialization import initial_network

__all__ = ["train_photometric"]

_STEP = 0.004  # width of a redshift bin in ln(1 + z)
_WIDTH = 192
_MAP = "csfd"  # name that E(B-V) goes by, if there is any


def train_photometric(
    table,
    z_spec,
    *,
    bands=None,
    ebv=None,
    weights=None,
    coord=None,
    name="own-bands",
    z_max=None,
    steps=2000,
    learning_rate=2e-3,
    batch_size=64,
    loss="both",
    validation=0.2,
    augmentation=None,
    ensemble=3,
    seed=0,
    progress=True,
):
    """
    Train a new network for the bands and galaxies of a table.

    It learns from the redshifts of the table alone: with fewer than some thousand,
    `finetune` a model that has learnt from others.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With columns ``flux_<band>`` and ``flux_err_<band>``, see
        `~mantis_astro.fluxes.read_fluxes`. Positions are not needed; where there are
        some, galaxies are held out by sky.
    z_spec : array_like
        Redshifts, shape (n,); rows where they are masked or NaN are left out.
    bands : sequence of str, optional
        Bands to read; by default all that the table has.
    ebv : float, array_like or str, optional
        E(B-V) in magnitudes for the network to read, for all or one each, or the name
        of its column; by default the column ``ebv`` if there is one. Where it is not
        known it counts as the usual one; without any the network reads none.
    weights, coord
        As for `finetune`.
    name : str, optional
        Name of the model.
    z_max : float, optional
        End of the redshift bins, which are equal in ln(1 + z); by default a little
        more than the largest redshift.
    steps, learning_rate, batch_size, loss, validation, augmentation, ensemble, seed
        As for `finetune`.
    progress : bool, optional
        Whether to show a progress bar in a terminal or a notebook.

    Returns
    -------
    photoz : PhotoZ
        Its file holds all that is needed to use it elsewhere.
    report : FinetuningReport
        How good it is on galaxies held out; ``before`` is the untrained network.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if there are no bands, or fewer than
        20 galaxies.

    Examples
    --------
    Galaxies whose colour tells the redshift, and far fewer of them than do:

    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.table import QTable
    >>> from mantis_astro.training import train_photometric
    >>> z = np.linspace(0.05, 0.5, 100)
    >>> table = QTable({"flux_ps1_g": 1e4 * np.exp(-3 * z) * u.nJy})
    >>> table["flux_ps1_r"] = np.full(100, 1e4) * u.nJy
    >>> table["flux_err_ps1_g"] = table["flux_err_ps1_r"] = np.full(100, 100) * u.nJy
    >>> photoz, report = train_photometric(table, z, steps=100, ensemble=1)
    >>> photoz
    <PhotoZ own-bands: photometric of 2 bands, z = 0 to ...>
    >>> report.n_train, report.n_validation, report.improved
    (80, 20, True)
    """
    z = true_redshift(z_spec)
    bands = find_bands(table) if bands is None else get_bands(bands)
    if not bands or not np.isfinite(z).any():
        what = "columns such as 'flux_ps1_g'" if not bands else "a redshift in 'z_spec'"
        msg = f"'table' must have {what}"
        raise InputSpecError(msg)
    dust, _ = resolve_ebv(find_ebv(table, ebv), len(table), (_MAP,), default=np.nan)
    known = dust[np.isfinite(dust)]
    usual_ebv = (float(np.median(known)),) if known.size else ()
    ebv = dust[:, 0] if known.size else None
    spec = PhotometrySpec(
        tuple(map(str, bands)),
        _scales(read_fluxes(table, bands)),
        ebv_maps=(_MAP,) * len(usual_ebv),
        ebv_default=usual_ebv,
        aperture="",
    )
    top = np.log1p(1.02 * np.nanmax(z) if z_max is None else z_max)
    edges = np.expm1(np.linspace(0, top, int(np.ceil(top / _STEP)) + 1))
    network = PhotometricConfig(
        spec.n_inputs,
        len(edges) - 1,
        len(spec.ebv_maps),
        widths=(_WIDTH, _WIDTH),
        hidden=_WIDTH,
    )
    card = ModelCard(name, network, spec, tuple(edges.tolist()))
    members = [
        PhotoZ(
            initial_network(
                network, seed=seed + k, initialization=InitializationConfig()
            ).eval(),
            card,
        )
        for k in range(ensemble)
    ]
    start = members[0] if ensemble == 1 else PhotoZ.average(members)
    photoz, report = finetune(
        start,
        table,
        z,
        ebv=ebv,
        weights=weights,
        coord=coord,
        steps=steps,
        learning_rate=learning_rate,
        batch_size=batch_size,
        loss=loss,
        validation=validation,
        augmentation=augmentation,
        seed=seed,
        progress=progress,
    )
    n = report.n_train
    card = replace(
        photoz.card,
        name=name,
        description=f"Fluxes in {', '.join(spec.bands)}; mean of {ensemble} networks",
        training_sample=f"{n:,} galaxies with spectra, z = 0 to {edges[-1]:.3g}",
        training_prior="n(z) of the galaxies that it was trained on",
    )
    return PhotoZ(photoz.network, card), report


def _scales(fluxes):
    """Softening of each band: its usual error, or a third of a faint flux."""
    scales = []
    for flux, error in zip(fluxes.flux.T, fluxes.flux_err.T, strict=True):
        known = error[np.isfinite(error) & (error > 0)]
        seen = np.abs(flux[np.isfinite(flux)])
        if known.size:
            scales.append(np.median(known))
        else:
            scales.append(np.percentile(seen, 5) / 3 if seen.size else 1.0)
    return tuple(float(f"{max(scale, 1e-6):.3g}") for scale in scales)
