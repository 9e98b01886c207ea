"""
Bands of the columns of ``bands_used``, as the column itself records them.

The meta of a table says it too (``PZBANDS``), but of two tables that are stacked
`astropy.table.vstack` keeps one; of a column's meta it keeps every key.
"""

__all__ = ["BANDS_MARK", "marked_bands"]

BANDS_MARK = "bands "  # before their names in the meta of a column


def marked_bands(column):
    """
    Find the bands that a column of ``bands_used`` was made for.

    Parameters
    ----------
    column : `~astropy.table.Column`
        The column.

    Returns
    -------
    list of str
        Names joined by commas, as in ``PZBANDS``: more than one if tables of other
        bands were stacked, none if the column is of a file that does not keep it.

    Examples
    --------
    >>> from astropy.table import Column
    >>> from mantis_astro.pdf_io.bands_used import marked_bands
    >>> marked_bands(Column([[True, False]], meta={"bands ps1.g, ps1.r": True}))
    ['ps1.g, ps1.r']
    """
    keys = column.info.meta or {}
    return [
        key.removeprefix(BANDS_MARK)
        for key in keys
        if isinstance(key, str) and key.startswith(BANDS_MARK)
    ]
