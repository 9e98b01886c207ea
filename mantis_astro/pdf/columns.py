"""The table of point estimates: which columns, what they mean, how they are made."""

from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Column, MaskedColumn, QTable
from astropy.utils.masked import Masked

from mantis_astro.flags import Flag

__all__ = [
    "COLUMNS",
    "OOD_SCORE",
    "OUTPUT_COLUMNS",
    "ColumnDefinition",
    "make_table",
]


class ColumnDefinition(NamedTuple):
    """
    One column of the output.

    Attributes
    ----------
    name : str
        Name, before the prefix.
    description : str
        What it is, in a sentence.
    ucd : str
        IVOA Unified Content Descriptor.
    """

    name: str
    description: str
    ucd: str


COLUMNS = tuple(
    ColumnDefinition(*row)
    for row in [
        ("z_mean", "Mean of p(z)", "src.redshift.phot;stat.mean"),
        ("z_median", "Median of p(z)", "src.redshift.phot;stat.median"),
        ("z_mode", "Redshift of highest density", "src.redshift.phot"),
        ("z_risk", "Redshift of least risk (Tanaka et al. 2018)", "src.redshift.phot"),
        (
            "z_err68_low",
            "Lower redshift of the central 68 % interval",
            "src.redshift.phot;stat.min",
        ),
        (
            "z_err68_high",
            "Upper redshift of the central 68 % interval",
            "src.redshift.phot;stat.max",
        ),
        (
            "z_err95_low",
            "Lower redshift of the central 95 % interval",
            "src.redshift.phot;stat.min",
        ),
        (
            "z_err95_high",
            "Upper redshift of the central 95 % interval",
            "src.redshift.phot;stat.max",
        ),
        ("z_std", "Standard deviation of p(z)", "stat.stdev;src.redshift.phot"),
        (
            "odds",
            "Probability within 0.05 (1 + z_mode) of z_mode",
            "stat.probability;src.redshift.phot",
        ),
        ("n_peaks", "Number of peaks of p(z)", "meta.number"),
        ("z_sec", "Redshift of the second peak of p(z)", "src.redshift.phot"),
        (
            "p_sec",
            "Probability of the second peak of p(z)",
            "stat.probability;src.redshift.phot",
        ),
        ("flags", "Quality bits; see mantis_astro.flags", "meta.code.qual"),
        (
            "pz",
            "Probability of each redshift bin; edges in the table's meta",
            "stat.probability;src.redshift.phot",
        ),
    ]
)

#: What `add_redshifts` adds; masked for models without statistics of their training.
OOD_SCORE = ColumnDefinition(
    "ood_score",
    "How little the training set supports a redshift; 99 % of that have less than 1",
    "stat.value",
)

#: All columns of `add_redshifts`, in order.
OUTPUT_COLUMNS = (*COLUMNS[:-2], OOD_SCORE, *COLUMNS[-2:])

_QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)


def make_table(pdf, *, prefix=""):
    """
    Make columns of point estimates.

    Parameters
    ----------
    pdf : RedshiftPDF
        One galaxy, or any number in one dimension.
    prefix : str, optional
        Put before every name.

    Returns
    -------
    `~astropy.table.QTable`
        See `RedshiftPDF.to_table`.

    Raises
    ------
    ValueError
        If the galaxies have more than one dimension.
    """
    if pdf.ndim > 1:
        msg = f"galaxies must be in one dimension, got shape {pdf.shape}: ravel() first"
        raise ValueError(msg)
    pdf = pdf.reshape(-1) if pdf.isscalar else pdf  # whose summaries may be known
    quantiles = dict(zip(_QUANTILES, pdf.to_quantiles(_QUANTILES).T, strict=True))
    mode = pdf.mode()
    peaks = pdf.peaks()
    values = {
        "z_mean": pdf.mean(),
        "z_median": quantiles[0.5],
        "z_mode": mode,
        "z_risk": pdf.z_risk(),
        "z_err68_low": quantiles[0.16],
        "z_err68_high": quantiles[0.84],
        "z_err95_low": quantiles[0.025],
        "z_err95_high": quantiles[0.975],
        "z_std": pdf.std(),
        "odds": pdf.odds(0.05, z=mode),
        "n_peaks": peaks.number,
        "z_sec": peaks.z_sec,
        "p_sec": peaks.p_sec,
    }
    no_data = (pdf.flags & int(Flag.NO_DATA)) != 0
    table = QTable(meta={**pdf.meta, "bin_edges": pdf.bin_edges.tolist()})
    for definition in COLUMNS[:-2]:
        value = _masked(values[definition.name], no_data)
        _add(table, definition, value, prefix)
    _add(table, COLUMNS[-2], Column(pdf.flags.copy()), prefix)
    _add(table, COLUMNS[-1], Column(pdf.probability.astype(np.float32)), prefix)
    return table


def _masked(value, mask):
    """Mask values where there is no data, besides where they are masked already."""
    mask = mask | getattr(value, "mask", False)
    if not isinstance(value, u.Quantity):
        return MaskedColumn(value, mask=mask) if mask.any() else Column(value)
    return Masked(getattr(value, "unmasked", value), mask=mask) if mask.any() else value


def _add(table, definition, value, prefix):
    name = prefix + definition.name
    table.add_column(value, name=name, copy=False)
    table[name].info.description = definition.description
    table[name].info.meta = {"ucd": definition.ucd}
