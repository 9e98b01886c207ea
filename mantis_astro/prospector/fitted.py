"""Filters with data in prospector's observations."""

from collections.abc import Mapping

import numpy as np

__all__ = ["fitted_filters"]


def fitted_filters(obs):
    """
    Return the names of the fitted filters.

    Parameters
    ----------
    obs : dict, list or None
        What prospector's ``fit_model`` takes: a dict with version 1, a list of
        observations with version 2; `to_prospector_obs` makes either.

    Returns
    -------
    list of str or None
        As sedpy names them, without those masked; None for None.
    """
    if obs is None:
        return None
    names = []
    for part in [obs] if isinstance(obs, Mapping) else obs:
        if isinstance(part, Mapping):
            filters, mask = part.get("filters"), part.get("phot_mask")
        else:
            filters, mask = getattr(part, "filters", None), getattr(part, "mask", None)
        if filters is None or not len(filters):
            continue  # a spectrum
        used = np.zeros(len(filters), bool)
        used[slice(None) if mask is None else mask] = True
        names += [
            getattr(each, "name", each)
            for each, is_used in zip(filters, used, strict=True)
            if is_used
        ]
    return names
