"""`NewColumns`: the columns that a table gains, filled as rows are finished."""

import numpy as np

from mantis_astro.flags import Flag, has_data
from mantis_astro.pdf.columns import (
    BANDS_USED,
    OOD_SCORE,
    OUTPUT_COLUMNS,
    P_STAR,
    Z_MC,
    make_column,
)
from mantis_astro.pdf.columns import measure as measure_column
from mantis_astro.pdf_io.edges import EDGES_KEY, edges_to_text

__all__ = ["FLAG_NAMES", "NewColumns", "remove_redshifts"]

#: Column of the flags in words, which ``mantis-astro predict --flag-names`` adds.
FLAG_NAMES = "flag_names"


class NewColumns:
    """
    New columns of a table; only requested ones are kept.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        Gains them in the end.
    bin_edges : ndarray
        Of the densities.
    prefix : str
        Put before their names.
    columns : sequence of str or None
        Which, without prefix; None for all.
    rng : int, `~numpy.random.Generator` or None
        Draws redshifts for ``z_mc``, which is there only with it.
    has_p_star : bool
        Whether the model gives the probability of a star.
    bands_used : ndarray or None
        Which bands were observed, shape (n, n_band), for a model of any bands.

    Raises
    ------
    ValueError
        If there is no such column, or the table has one of that name.
    """

    def __init__(
        self,
        table,
        bin_edges,
        *,
        prefix,
        columns,
        rng,
        has_p_star=False,
        bands_used=None,
    ):
        known = {d.name: d for d in OUTPUT_COLUMNS}
        if not has_p_star:
            del known[P_STAR.name]
        if bands_used is None:
            del known[BANDS_USED.name]
        if rng is not None:
            known[Z_MC.name] = Z_MC
        _check_names(table, prefix, columns, known)
        self._table, self._bin_edges, self._prefix = table, bin_edges, prefix
        self._wanted = [
            d for name, d in known.items() if columns is None or name in columns
        ]
        n = len(table)
        self.flags = np.full(n, int(Flag.NO_DATA), np.int64)
        self._values = {
            d.name: _no_values(d, n, len(bin_edges) - 1)
            for d in self._wanted
            if d.name not in ("flags", BANDS_USED.name)
        }
        if any(d.name == BANDS_USED.name for d in self._wanted):
            self._values[BANDS_USED.name] = bands_used
        if Z_MC.name in self._values:
            self._uniform = np.random.default_rng(rng).random(n)

    def fill(self, rows, pdf, own):
        """
        Fill in finished rows.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Their numbers in the table.
        pdf : RedshiftPDF, shape (n,)
            With all flags.
        own : mapping of str to ndarray, shape (n,)
            ``ood_score`` and ``p_star``, which do not follow from p(z); NaN where they
            are not known.
        """
        self.flags[rows] = pdf.flags
        for definition in self._wanted:
            name = definition.name
            if name in own:
                self._values[name][rows] = own[name]
            elif name == Z_MC.name:
                draws = pdf.ppf(self._uniform[rows])
                self._values[name][rows] = np.where(has_data(pdf.flags), draws, np.nan)
            elif name not in ("flags", BANDS_USED.name):
                self._values[name][rows] = measure_column(pdf, definition)

    def attach(self, facts):
        """
        Add the columns to the table.

        Parameters
        ----------
        facts : dict
            For the table's meta.

        Returns
        -------
        `~astropy.table.QTable`
            The table.
        """
        for definition in self._wanted:
            name = definition.name
            values = self.flags if name == "flags" else self._values.pop(name)
            column = make_column(
                definition, values, self._bin_edges, bands=facts.get("PZBANDS")
            )
            self._table.add_column(column, name=self._prefix + name, copy=False)
        facts = {**facts, EDGES_KEY: edges_to_text(self._bin_edges)}
        facts = {self._prefix + key: value for key, value in facts.items()}
        self._table.meta.update(facts)
        return self._table


def remove_redshifts(table, prefix=""):
    """
    Remove the columns that an earlier call or command added, and their facts in meta.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Changed in place.
    prefix : str, optional
        That was put before their names.

    Returns
    -------
    list of str
        Names that are gone.
    """
    definitions = (*OUTPUT_COLUMNS, P_STAR, BANDS_USED, Z_MC)
    names = [prefix + name for name in (*(d.name for d in definitions), FLAG_NAMES)]
    names = [name for name in names if name in table.colnames]
    table.remove_columns(names)
    if names:
        for key in [key for key in table.meta if key.startswith(f"{prefix}PZ")]:
            del table.meta[key]
    return names


def _no_values(definition, n, n_bins):
    """Values of rows without data."""
    if definition.name == "n_peaks":
        return np.zeros(n, int)
    if definition.name == "pz":
        return np.full((n, n_bins), np.nan, np.float32)
    is_short = definition.name in (OOD_SCORE.name, P_STAR.name)
    dtype = np.float32 if is_short else float
    return np.full(n, np.nan, dtype)


def _check_names(table, prefix, columns, known):
    if isinstance(columns, str):
        msg = f"'columns' must be a list of names, got {columns!r}: write [{columns!r}]"
        raise TypeError(msg)
    strangers = [name for name in columns or () if name not in known]
    if strangers:
        msg = f"'columns' may hold {', '.join(known)}; got {strangers}"
        raise ValueError(msg)
    names = known if columns is None else columns
    taken = [prefix + name for name in known if name in names]
    taken = [name for name in taken if name in table.colnames]
    if taken:
        msg = (
            f"the table has {', '.join(taken)} already: choose another 'prefix' "
            f"(now {prefix!r}) or fewer 'columns', or replace them: overwrite=True"
        )
        raise ValueError(msg)
