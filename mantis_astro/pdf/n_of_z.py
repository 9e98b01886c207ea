"""
The n(z) that p(z) carry, as a short text in the meta.

A list of numbers does not survive in a table: `astropy.table.vstack` appends one list
to the other. Two equal texts stay one.
"""

from itertools import groupby

import numpy as np

from mantis_astro import binned

__all__ = [
    "N_OF_Z_KEY",
    "PRIOR_KEY",
    "change_bins",
    "n_of_z_from_text",
    "n_of_z_to_text",
]

PRIOR_KEY = "PZPRIOR"  # of the meta: in words
N_OF_Z_KEY = "PZNOFZ"  # in numbers; each of at most eight characters, for FITS
_UNIT = 1e-6


def n_of_z_to_text(probability):
    """
    Write the share of galaxies in each redshift bin as a text.

    Parameters
    ----------
    probability : array_like
        Shape ``(n_bins,)``, sum 1.

    Returns
    -------
    str
        Millionths, with four digits, joined by blanks; ``0*3`` for three bins of 0.

    Examples
    --------
    >>> from mantis_astro.pdf.n_of_z import n_of_z_to_text
    >>> n_of_z_to_text([0, 0, 0.1234567, 0.8765433])
    '0*2 1.235e+05 8.765e+05'
    """
    words = []
    for number, same in groupby(f"{x / _UNIT:.4g}" for x in probability):
        count = len(list(same))
        words.append(number if count == 1 else f"{number}*{count}")
    return " ".join(words)


def n_of_z_from_text(text):
    """
    Read the output of `n_of_z_to_text`.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    ndarray
        Share of galaxies in each redshift bin, shape ``(n_bins,)``, sum 1.

    Raises
    ------
    ValueError
        If it is another text.

    Examples
    --------
    >>> from mantis_astro.pdf.n_of_z import n_of_z_from_text
    >>> n_of_z_from_text("0*2 250000 750000")
    array([0.  , 0.  , 0.25, 0.75])
    """
    values = []
    try:
        for word in text.split():
            number, _, count = word.partition("*")
            values += [float(number)] * int(count or 1)
    except (AttributeError, ValueError) as error:
        msg = f"this is no n(z): {text!r}"
        raise ValueError(msg) from error
    values = np.array(values)
    if not (np.isfinite(values) & (values >= 0)).all() or not values.sum() > 0:
        msg = f"an n(z) must be finite, not negative and not all 0, got {text!r}"
        raise ValueError(msg)
    return values / values.sum()


def change_bins(meta, bin_edges, new_edges):
    """
    Convert the n(z) of a meta to other redshift bins.

    Parameters
    ----------
    meta : dict
        Changed in place; nothing happens if it has none.
    bin_edges, new_edges : ndarray
        Edges of the bins, of shapes ``(n_bins + 1,)`` and ``(n_new + 1,)``.
    """
    if N_OF_Z_KEY in meta:
        values = n_of_z_from_text(meta[N_OF_Z_KEY])
        values = values @ binned.overlap(bin_edges, new_edges)
        meta[N_OF_Z_KEY] = n_of_z_to_text(values / values.sum())
