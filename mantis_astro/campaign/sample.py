"""`make_sample`: selection of a campaign's objects."""

import logging

import astropy.units as u
import numpy as np
from astropy.table import MaskedColumn

from mantis_astro.dust import ebv, map_files
from mantis_astro.files import fetch_file
from mantis_astro.redshift_surveys import combine_redshifts
from mantis_astro.tables.coordinates import find_coordinates

__all__ = ["make_sample"]

log = logging.getLogger(__name__)


def make_sample(redshifts, config):
    """
    Make the sample of a campaign.

    Parameters
    ----------
    redshifts : `~astropy.table.Table`
        As `~mantis_astro.redshift_surveys.fetch_redshifts` returns it.
    config : CampaignConfig
        Its ``redshifts.surveys`` and ``sample`` are used.

    Returns
    -------
    `~astropy.table.QTable`
        One row for each object, with ``part`` (train, validation or test), the
        distance from the Galactic plane in ``galactic_latitude``, and E(B-V) in
        ``ebv_csfd`` and so on.

    Raises
    ------
    OSError
        `~mantis_astro.exceptions.FetchError` if a map of E(B-V) cannot be fetched.
    """
    chosen = config.sample
    redshifts = redshifts.copy()
    coords = find_coordinates(redshifts)[0]
    redshifts["galactic_latitude"] = abs(coords.galactic.b)
    limits = {"z_spec": chosen.z, "galactic_latitude": (chosen.least_latitude, 90.0)}
    for name in chosen.dust_maps:
        if not chosen.dust_folder:
            for file in map_files(name):
                fetch_file(file)
        values = ebv(coords, name, folder=chosen.dust_folder or None)
        redshifts[f"ebv_{name}"] = values * u.mag
    if chosen.dust_maps:
        limits[f"ebv_{chosen.dust_maps[0]}"] = (-1.0, chosen.max_ebv)
    sample = combine_redshifts(
        redshifts,
        order=config.redshifts.surveys,
        radius=chosen.radius * u.arcsec,
        tolerance=chosen.tolerance,
        limits=limits | chosen.limits,
    )
    if chosen.n_max and len(sample) > chosen.n_max:
        rng = np.random.default_rng(chosen.seed)
        sample = sample[np.sort(rng.permutation(len(sample))[: chosen.n_max])]
    coords = find_coordinates(sample)[0]
    parts = chosen.split.parts(coords) if len(sample) else np.empty(0, "U10")
    sample["part"] = MaskedColumn(parts, description="By HEALPix pixel of the sky")
    return sample
