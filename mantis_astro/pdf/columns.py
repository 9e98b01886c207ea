"""Columns of point estimates: their names, meaning and computation."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from astropy.table import Column, MaskedColumn, QTable

from mantis_astro.flags import has_data
from mantis_astro.pdf_io.bands_used import BANDS_MARK
from mantis_astro.pdf_io.edges import EDGES_KEY, EDGES_MARK, edges_to_text

__all__ = [
    "BANDS_USED",
    "COLUMNS",
    "OOD_SCORE",
    "OUTPUT_COLUMNS",
    "P_STAR",
    "Z_MC",
    "ColumnDefinition",
    "make_column",
    "make_table",
    "measure",
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
    format : str or None
        How it is printed.
    value : callable or None
        Takes a RedshiftPDF of shape (n,), returns values of shape (n, ...); None for
        what does not follow from p(z).
    """

    name: str
    description: str
    ucd: str
    format: str | None = ".4f"
    value: Callable | None = None


COLUMNS = tuple(
    ColumnDefinition(*row)
    for row in [
        (
            "z_mean",
            "Mean of p(z)",
            "src.redshift.phot;stat.mean",
            ".4f",
            lambda pdf: pdf.mean(),
        ),
        (
            "z_median",
            "Median of p(z)",
            "src.redshift.phot;stat.median",
            ".4f",
            lambda pdf: pdf.median(),
        ),
        (
            "z_mode",
            "Redshift of highest density",
            "src.redshift.phot",
            ".4f",
            lambda pdf: pdf.mode(),
        ),
        (
            "z_risk",
            "Redshift of least risk (Tanaka et al. 2018)",
            "src.redshift.phot",
            ".4f",
            lambda pdf: pdf.z_risk(),
        ),
        (
            "z_err68_low",
            "Lower redshift of the central 68 % interval",
            "src.redshift.phot;stat.min",
            ".4f",
            lambda pdf: pdf.interval(0.68)[0],
        ),
        (
            "z_err68_high",
            "Upper redshift of the central 68 % interval",
            "src.redshift.phot;stat.max",
            ".4f",
            lambda pdf: pdf.interval(0.68)[1],
        ),
        (
            "z_err95_low",
            "Lower redshift of the central 95 % interval",
            "src.redshift.phot;stat.min",
            ".4f",
            lambda pdf: pdf.interval(0.95)[0],
        ),
        (
            "z_err95_high",
            "Upper redshift of the central 95 % interval",
            "src.redshift.phot;stat.max",
            ".4f",
            lambda pdf: pdf.interval(0.95)[1],
        ),
        (
            "z_std",
            "Standard deviation of p(z)",
            "stat.stdev;src.redshift.phot",
            ".4f",
            lambda pdf: pdf.std(),
        ),
        (
            "odds",
            "Probability within 0.05 (1 + z_mode) of z_mode",
            "stat.probability;src.redshift.phot",
            ".3f",
            lambda pdf: pdf.odds(0.05),
        ),
        (
            "n_peaks",
            "Number of peaks of p(z)",
            "meta.number",
            None,
            lambda pdf: pdf.peaks().number,
        ),
        (
            "z_sec",
            "Redshift of the second peak of p(z)",
            "src.redshift.phot",
            ".4f",
            lambda pdf: pdf.peaks().z_sec.filled(np.nan),
        ),
        (
            "p_sec",
            "Probability of the second peak of p(z)",
            "stat.probability;src.redshift.phot",
            ".3f",
            lambda pdf: pdf.peaks().p_sec.filled(np.nan),
        ),
        (
            "flags",
            "Quality bits; see mantis_astro.flags",
            "meta.code.qual",
            None,
            lambda pdf: pdf.flags.copy(),
        ),
        (
            "pz",
            "Probability of each redshift bin",
            "stat.probability;src.redshift.phot",
            ".3g",
            lambda pdf: pdf.probability.astype(np.float32),
        ),
    ]
)

#: What `add_redshifts` adds; masked for models without statistics of their training.
OOD_SCORE = ColumnDefinition(
    "ood_score",
    "How little the training set supports a redshift; 99 % of that have less than 1",
    "stat.value",
    ".3f",
)

#: What `add_redshifts` adds for models that tell stars from galaxies.
P_STAR = ColumnDefinition(
    "p_star",
    "Probability that the object is a star; p(z) is that of a galaxy",
    "stat.probability;src.class.starGalaxy",
    ".3f",
)

#: What `add_redshifts` adds for models that read any bands.
BANDS_USED = ColumnDefinition(
    "bands_used",
    "Whether each of the bands that PZBANDS in the table's meta lists was observed",
    "meta.code",
    None,
    lambda pdf: pdf.bands_used,
)

_NEVER_MASKED = "flags", BANDS_USED.name

#: What `add_redshifts` adds where it is given a source of randomness.
Z_MC = ColumnDefinition("z_mc", "One draw from p(z)", "src.redshift.phot", ".4f")

#: All columns of `add_redshifts`, in order; not all models have all.
OUTPUT_COLUMNS = (*COLUMNS[:-2], OOD_SCORE, P_STAR, BANDS_USED, *COLUMNS[-2:])


def measure(pdf, definition):
    """
    Compute the values of one column.

    Parameters
    ----------
    pdf : RedshiftPDF
        Shape (n,).
    definition : ColumnDefinition
        The column, one of `COLUMNS`.

    Returns
    -------
    ndarray
        Shape (n, ...): NaN, or 0 peaks, where the flag ``NO_DATA`` is set or there is
        no such thing.
    """
    values = np.asarray(definition.value(pdf))
    if definition.name not in _NEVER_MASKED:
        values[~has_data(pdf.flags)] = 0 if values.dtype.kind == "i" else np.nan
    return values


def make_column(definition, values, bin_edges, *, bands=None):
    """
    Make one column of a table.

    The class of a column does not depend on what is in it: ``flags`` and ``bands_used``
    are never masked, all others are masked columns, which hold NaN where they are
    masked, for readers that see no mask.

    Parameters
    ----------
    definition : ColumnDefinition
        The column.
    values : ndarray
        As `measure` returns them; not copied.
    bin_edges : ndarray
        Of the densities.
    bands : str, optional
        Bands that ``bands_used`` stands for, as in ``PZBANDS`` of the meta.

    Returns
    -------
    `~astropy.table.Column`
        With description, UCD and format. The description of ``pz`` says what its bins
        are, and the meta of ``bands_used`` its bands, so that they can be read when
        they have left their table.
    """
    facts = {
        "name": definition.name,
        "description": definition.description,
        "format": definition.format,
        "meta": {"ucd": definition.ucd},
        "copy": False,
    }
    if definition.name == BANDS_USED.name and bands is not None:
        facts["meta"][BANDS_MARK + bands] = True
    if definition.name in _NEVER_MASKED:
        return Column(values, **facts)
    if definition.name == "pz":
        text = edges_to_text(bin_edges)
        facts["description"] += f"; edges {text}"
        # of two that are stacked, the last description stays, and every key of meta
        facts["meta"][EDGES_MARK + text] = True
    if values.dtype.kind == "f":
        return MaskedColumn(values, mask=np.isnan(values), fill_value=np.nan, **facts)
    return MaskedColumn(values, mask=values == 0, fill_value=0, **facts)


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
    facts = {**pdf.meta, EDGES_KEY: edges_to_text(pdf.bin_edges)}
    table = QTable(meta={prefix + key: value for key, value in facts.items()})
    columns = COLUMNS
    if pdf.bands_used is not None:
        columns = (*COLUMNS[:-2], BANDS_USED, *COLUMNS[-2:])
    bands = pdf.meta.get("PZBANDS")
    for definition in columns:
        values = measure(pdf, definition)
        column = make_column(definition, values, pdf.bin_edges, bands=bands)
        table.add_column(column, name=prefix + definition.name, copy=False)
    return table
