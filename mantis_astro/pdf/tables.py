"""Densities and true redshifts of a table, for functions that also accept tables."""

from mantis_astro.pdf.redshift_pdf import RedshiftPDF

__all__ = ["as_densities", "as_truths", "is_table"]


def is_table(data):
    """
    Return whether an object is a table or a row of one.

    Parameters
    ----------
    data : object
        What a function was given.

    Returns
    -------
    bool
        Whether it is an astropy Table or Row.
    """
    return hasattr(data, "colnames")


def as_densities(data, *, prefix=""):
    """
    Read the densities of a table; return other objects unchanged.

    Parameters
    ----------
    data : `~astropy.table.Table`, `~astropy.table.Row` or RedshiftPDF
        As `PhotoZ.add_redshifts` or `RedshiftPDF.to_table` gave it.
    prefix : str, optional
        What stands before the names of its columns.

    Returns
    -------
    RedshiftPDF
        The densities.
    """
    return RedshiftPDF.from_table(data, prefix=prefix) if is_table(data) else data


def as_truths(data, z_spec, *, needed=True):
    """
    Find the true redshifts that belong to densities.

    Parameters
    ----------
    data : `~astropy.table.Table`, `~astropy.table.Row` or RedshiftPDF
        The densities.
    z_spec : array_like, str or None
        The redshifts, or the name of their column of the table; None for its column
        ``z_spec``.
    needed : bool, optional
        Whether there must be some.

    Returns
    -------
    array_like or None
        The redshifts; None if there are none and none are needed.

    Raises
    ------
    KeyError
        If the table has no such column.
    TypeError
        If they are needed and cannot be found.
    """
    if z_spec is not None and not isinstance(z_spec, str):
        return z_spec
    if not is_table(data):
        if z_spec is None and not needed:
            return None
        msg = "'z_spec' must be given: these p(z) have no table with a column of it"
        if z_spec is not None:
            msg = f"'z_spec' can name a column only of a table, got {z_spec!r}"
        raise TypeError(msg)
    name = "z_spec" if z_spec is None else z_spec
    if name in data.colnames:
        return data[name]
    if z_spec is None and not needed:
        return None
    msg = f"no column '{name}'; there are {', '.join(data.colnames)}"
    raise KeyError(msg)
