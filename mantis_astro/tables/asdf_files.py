"""Tables in ASDF, of the astropy project: nothing of a table is lost."""

import warnings

import asdf
import numpy as np
from asdf.exceptions import AsdfConversionWarning
from astropy.table import QTable, Table
from astropy.time import Time

__all__ = ["read_asdf", "write_asdf"]

# What asdf-astropy leaves out, beside the table: what columns of quantities say of
# themselves, how all are printed, and which times are masked.
_INFO, _MASKS = "info", "masks"
_FACTS = "description", "format", "meta"
_NO_TIME = 51544.0  # MJD, under a mask


def read_asdf(path):
    """
    Read the first table of an ASDF file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    `~astropy.table.QTable`
        The table, in memory.

    Raises
    ------
    ValueError
        If it is cut short, or there is no table at the top of its tree.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", AsdfConversionWarning)  # of a file cut short
        try:
            with asdf.open(path, lazy_load=False, memmap=False) as file:
                tree = dict(file.tree)
        except AsdfConversionWarning as error:
            raise ValueError(str(error)) from error
    tables = [value for value in tree.values() if isinstance(value, Table)]
    if not tables:
        msg = "it holds no table of astropy at the top of its tree"
        raise ValueError(msg)
    table = QTable(tables[0], copy=False)
    for name, mask in tree.get(_MASKS, {}).items():
        table[name][mask] = np.ma.masked
    for name, facts in tree.get(_INFO, {}).items():
        for fact, value in facts.items():
            setattr(table[name].info, fact, value)
    return table


def write_asdf(table, path):
    """
    Write a table as ``table`` of the tree of an ASDF file.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    path : path-like
        Where to.
    """
    table = table.copy(copy_data=False)
    masks = {}
    for name in table.colnames:
        times = table[name]
        if isinstance(times, Time) and times.masked:
            masks[name] = times.mask.copy()
            nothing = Time(_NO_TIME, format="mjd", scale=times.scale)
            table.replace_column(name, times.filled(nothing))
    info = {}
    for name in table.colnames:
        facts = {fact: getattr(table[name].info, fact) for fact in _FACTS}
        info[name] = {
            fact: dict(value) if fact == "meta" else value
            for fact, value in facts.items()
            if value and not callable(value)
        }
    asdf.AsdfFile({"table": table, _INFO: info, _MASKS: masks}).write_to(path)
