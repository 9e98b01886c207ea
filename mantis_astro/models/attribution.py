"""Contribution of each band or survey to p(z): exact Shapley values."""

import logging
from collections.abc import Mapping

import numpy as np
from astropy.table import MaskedColumn, QTable, Table

from mantis_astro import binned
from mantis_astro.bands import get_band
from mantis_astro.binned import true_redshift
from mantis_astro.cutouts import MultibandCutout
from mantis_astro.exceptions import InputSpecError
from mantis_astro.extinction import select_ebv
from mantis_astro.metrics import object_scores
from mantis_astro.models.coalitions import iter_coalitions, present_groups, take
from mantis_astro.models.inputs import NetworkInput
from mantis_astro.models.shapley import exact_shapley
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.progress import progress_bar

__all__ = ["shapley_values"]

log = logging.getLogger(__name__)

_CHUNK = 64  # objects prepared at once
_MOST = 10  # groups: 1024 coalitions
_TINY = 1e-30  # logarithms of less than this are not followed


def shapley_values(
    photoz,
    data,
    *,
    groups="surveys",
    value="kl",
    z_spec=None,
    ebv=None,
    nothing=None,
    progress=True,
):
    """
    Attribute the information in each p(z) to surveys, bands or other groups.

    The model is asked with every combination of groups present, the others as they are
    where nobody looked; the Shapley value of a group is the mean change that it makes
    on joining, over all orders of joining.

    Parameters
    ----------
    photoz : PhotoZ
        The model: early or late fusion, or photometric.
    data : iterable of MultibandCutout, `~astropy.table.Table` or NetworkInput
        Galaxies, as `PhotoZ.predict` takes them or `PhotoZ.prepare` made them.
    groups : {"surveys", "bands"} or mapping, optional
        Whose contributions: three surveys take 8 runs of the network for each galaxy,
        nine bands 512. A mapping of names to bands makes other groups, at most ten;
        bands in none of them are always there.
    value : {"kl", "z_median", "crps", "log_score"}, optional
        What is shared out. ``"kl"``: how near, in nats, p(z) comes to that of all
        bands; needs no true redshift. ``"z_median"``: where the median lies.
        ``"crps"`` (with the opposite sign, so that more is better) and ``"log_score"``:
        accuracy; they need ``z_spec``.
    z_spec : array_like or `~astropy.units.Quantity`, optional
        True redshifts, shape (n,); NaN or masked where there is none.
    ebv : float, array_like or mapping, optional
        As for `PhotoZ.predict`; always known to the network.
    nothing : RedshiftPDF, optional
        What is known of a galaxy without any group, shape (): n(z), say. By default
        what the network answers where all groups are absent; only then does a group
        that the network ignores get exactly 0.
    progress : bool, optional
        Whether to show a progress bar, in a terminal or a notebook.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each galaxy: ``v_none`` and ``v_all``, the value without and with all
        groups, and ``shapley_NAME`` for each group, which add up to their difference. A
        group that a galaxy lacks gets 0. Masked where nothing was usable, or ``z_spec``
        is needed and not known. ``meta`` says what the value is and who the groups are.

    Raises
    ------
    ValueError
        If ``groups`` or ``value`` are not as said, or ``z_spec`` is missing or of
        another length.
    TypeError
        If the data are not what the model reads.

    Notes
    -----
    Exact: no sampling of orders. Combinations that differ in what a galaxy lacks are
    the same, and asked once; in late fusion each encoder sees each combination of its
    own bands once (40 in place of 1,536 for nine bands).

    Absent bands must have been part of the training (dropped bands and surveys), else
    the network is asked what it never learned. A recalibration is not applied.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.table import QTable
    >>> from mantis_astro import PhotoZ
    >>> from mantis_astro.models import shapley_values
    >>> photoz = PhotoZ.from_pretrained("simulated-photometric")
    >>> table = QTable({"flux_ps1_g": [1e4, 2e4] * u.nJy})
    >>> table["flux_ps1_i"] = [3e4, 4e4] * u.nJy
    >>> shares = shapley_values(photoz, table, value="z_median", ebv=0.02)
    >>> shares.colnames
    ['v_none', 'v_all', 'shapley_galex', 'shapley_ps1', 'shapley_unwise']
    >>> gain = shares["v_all"] - shares["v_none"]
    >>> bool(np.all(shares["shapley_ps1"] == gain))  # there is nothing else
    True
    """
    if not photoz.card.bands:
        msg = (
            f"'{photoz.card.name}' reads any bands: leave some out of the table to see "
            "what they are worth"
        )
        raise InputSpecError(msg)
    names, members = _parted([get_band(b) for b in photoz.card.bands], groups)
    if value not in _VALUES:
        msg = f"'value' must be one of {', '.join(_VALUES)}, got {value!r}"
        raise ValueError(msg)
    if value in ("crps", "log_score") and z_spec is None:
        msg = f"value={value!r} compares with true redshifts: give 'z_spec'"
        raise ValueError(msg)
    if isinstance(data, MultibandCutout):
        data = [data]
    if not isinstance(data, Table | NetworkInput):
        data = list(data)
    n = len(data)
    z_spec = np.full(n, np.nan) if z_spec is None else true_redshift(z_spec)
    if z_spec.shape != (n,):
        msg = (
            f"'z_spec' must have one value for each of {n} galaxies, got shape "
            f"{z_spec.shape}"
        )
        raise ValueError(msg)
    worth = _Worth(value, photoz.card.bin_edges, nothing)
    values = np.empty((n, 1 << len(names)))
    log.info("%d coalitions of %d galaxies", values.shape[1], n)
    step = max(_CHUNK, photoz.network.micro_batch)
    with progress_bar(n, wanted=progress) as update:
        for start in range(0, n, step):
            rows = slice(start, start + step)
            if isinstance(data, NetworkInput):
                prepared = take(data, rows)
            else:
                prepared = photoz.prepare(data[rows], select_ebv(ebv, rows))
            part = _values(photoz.network, prepared, members, worth, z_spec[rows])
            part[~prepared.usable] = np.nan
            values[rows] = part
            update(min(start + step, n))
    return _table(values, names, value)


def _parted(bands, groups):
    """Names of the groups, and which bands are in each: (n_group, n_band)."""
    if isinstance(groups, Mapping):
        chosen = {str(k): [get_band(band) for band in v] for k, v in groups.items()}
    elif isinstance(groups, str) and groups == "surveys":
        chosen = {}
        for band in bands:
            chosen.setdefault(band.survey or str(band), []).append(band)
    elif isinstance(groups, str) and groups == "bands":
        chosen = {str(band).replace(".", "_"): [band] for band in bands}
    else:
        msg = f"'groups' must be 'surveys', 'bands' or a mapping, got {groups!r}"
        raise ValueError(msg)
    if not 0 < len(chosen) <= _MOST:
        msg = f"'groups' must be 1 to {_MOST} groups, got {len(chosen)}"
        raise ValueError(msg)
    grouped = [band for group in chosen.values() for band in group]
    for band in grouped:
        if band not in bands:
            msg = f"'groups': the model does not read {band}, but {_listed(bands)}"
            raise ValueError(msg)
        if grouped.count(band) > 1:
            msg = f"'groups': {band} must be in one group, not in several"
            raise ValueError(msg)
    members = [[band in group for band in bands] for group in chosen.values()]
    return list(chosen), np.array(members)


def _listed(bands):
    return ", ".join(map(str, bands))


def _values(network, prepared, members, worth, z_spec):
    """Value of each coalition for each object, shape (n, n_coalition)."""
    n_coalition = 1 << len(members)
    values = np.empty((len(prepared), n_coalition))
    everything = None
    for rows, coalition, probability in iter_coalitions(network, prepared, members):
        if coalition == n_coalition - 1:
            everything = probability.astype(float)
        answer = probability if coalition else worth.without_any(probability)
        values[rows, coalition] = worth(answer, everything, z_spec[rows])
    # a coalition in which an object lacks a group is, for it, that of the others
    seen = np.arange(n_coalition) & present_groups(prepared, members)[:, None]
    return np.take_along_axis(values, seen, axis=1)


class _Worth:
    """
    Value of p(z) for the attribution.

    Parameters
    ----------
    value : str
        Name of the value.
    bin_edges : `~numpy.ndarray`
        Of the redshift bins.
    nothing : RedshiftPDF or None
        What is known without any group.
    """

    def __init__(self, value, bin_edges, nothing):
        self.function, _ = _VALUES[value]
        self.bin_edges = bin_edges
        if nothing is not None:
            if nothing.shape != ():
                msg = f"'nothing' must be one p(z) of shape (), got {nothing.shape}"
                raise ValueError(msg)
            nothing = np.asarray(nothing.rebin(bin_edges).probability)
        self.nothing = nothing

    def without_any(self, probability):
        """P(z) without any group: as given, or the output of the network."""
        if self.nothing is None:
            return probability
        return np.broadcast_to(self.nothing, probability.shape)

    def __call__(self, probability, everything, z_spec):
        return self.function(
            self.bin_edges, probability.astype(float), everything, z_spec
        )


def _kl(edges, probability, everything, z_spec):  # noqa: ARG001  one form for all
    known, said = np.maximum(everything, _TINY), np.maximum(probability, _TINY)
    return -np.sum(everything * np.log(known / said), axis=1)


def _z_median(edges, probability, everything, z_spec):  # noqa: ARG001
    return binned.ppf(edges, probability, np.full((len(probability), 1), 0.5))[:, 0]


def _crps(edges, probability, everything, z_spec):  # noqa: ARG001
    pdf = RedshiftPDF.from_batch(edges, probability)
    return -object_scores(pdf, z_spec)["crps"].value


def _log_score(edges, probability, everything, z_spec):  # noqa: ARG001
    density = binned.pdf(edges, probability, z_spec[:, None])[:, 0]
    return np.log(np.maximum(density, _TINY))


_VALUES = {
    "kl": (_kl, "minus the KL divergence of p(z) from that of all groups, in nats"),
    "z_median": (_z_median, "median of p(z)"),
    "crps": (_crps, "minus the continuous ranked probability score"),
    "log_score": (_log_score, "ln p(z_spec), per unit redshift"),
}


def _table(values, names, value):
    shares = exact_shapley(values)
    unknown = np.isnan(shares).any(axis=1)
    meaning = _VALUES[value][1]
    columns = {
        "v_none": (values[:, 0], f"Without any group: {meaning}"),
        "v_all": (values[:, -1], f"With all groups: {meaning}"),
    }
    for i, name in enumerate(names):
        columns[f"shapley_{name}"] = (shares[:, i], f"Contribution of {name} to it")
    table = QTable()
    for name, (numbers, description) in columns.items():
        table[name] = MaskedColumn(
            numbers, mask=unknown, description=description, format=".4g"
        )
    table.meta.update(value=value, value_meaning=meaning, groups=names)
    return table
