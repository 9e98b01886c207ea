"""A table of redshifts for a notebook, with a small p(z) in each row."""

from __future__ import annotations

from html import escape

from mantis_astro.flags import flag_names, has_data
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf.columns import OUTPUT_COLUMNS, Z_MC
from mantis_astro.pdf.picture import draw_sparkline

__all__ = ["RedshiftView", "show_redshifts"]

_OWN = 4  # columns of the user that are shown


class RedshiftView:
    """
    Notebook display of a table of redshifts.

    Parameters
    ----------
    table : `~astropy.table.Table`
        What `PhotoZ.add_redshifts` gave.
    prefix : str
        What stands before the names of the redshift columns.
    rows : int
        How many rows are shown.
    """

    def __init__(self, table, prefix, rows):
        self._length = len(table)
        self._table, self._prefix = table[:rows], prefix
        self._pdf = RedshiftPDF.from_table(self._table, prefix=prefix)
        ours = {prefix + d.name for d in (*OUTPUT_COLUMNS, Z_MC)}
        names = [name for name in table.colnames if name not in ours]
        self._names = [name for name in names if table[name].ndim == 1][:_OWN]

    def __repr__(self):
        names = [*self._names, f"{self._prefix}z_median", f"{self._prefix}flags"]
        there = [name for name in names if name in self._table.colnames]
        return "\n".join(self._table[there].pformat(max_width=-1))

    def _repr_html_(self):
        heads = [*self._names, "z (68 %)", "p(z)", "flags"]
        head = "".join(f"<th>{escape(str(name))}</th>" for name in heads)
        rows = "".join(f"<tr>{cells}</tr>" for cells in self._rows())
        more = self._length - len(self._table)
        tail = f"<p>... and {more:,} more</p>" if more else ""
        return f"<div><table><tr>{head}</tr>{rows}</table>{tail}</div>"

    def _rows(self):
        """Write the cells of each row."""
        texts = {name: self._table[name].info.iter_str_vals() for name in self._names}
        limits = self._limits()
        words = flag_names(self._pdf.flags, nothing="")
        for pdf, flags, *own in zip(self._pdf, words, *texts.values(), strict=True):
            cells = [escape(str(text)) for text in own]
            cells += [_redshift(pdf), draw_sparkline(pdf, limits), escape(str(flags))]
            yield "".join(f"<td>{cell}</td>" for cell in cells)

    def _limits(self):
        """Redshift limits, the same for all rows, that contain all densities."""
        with_data = has_data(self._pdf.flags)
        edges = self._pdf.bin_edges
        if not with_data.any():
            return edges[0], edges[-1]
        highest = self._pdf[with_data].ppf(0.999).value.max()
        return edges[0], min(1.1 * highest, edges[-1])


def _redshift(pdf):
    if not has_data(pdf.flags):
        return ""
    low, median, high = pdf.to_quantiles([0.16, 0.5, 0.84]).value
    return f"{median:.3f} <sup>+{high - median:.3f}</sup><sub>-{median - low:.3f}</sub>"


def show_redshifts(table, *, prefix="", rows=20):
    """
    Show a table of redshifts in a notebook, with a small p(z) in each row.

    Parameters
    ----------
    table : `~astropy.table.Table`
        What `PhotoZ.add_redshifts` gave, with a column ``pz``.
    prefix : str, optional
        What stands before the names of the redshift columns.
    rows : int, optional
        How many rows are shown.

    Returns
    -------
    RedshiftView
        A notebook shows it as a table: the first columns of the table, the median with
        its 68 % interval, p(z) on one axis of redshift for all rows, and flags in
        words. Elsewhere it prints as text.

    Raises
    ------
    ValueError
        If there is no column of p(z).

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.plotting import show_redshifts
    >>> table = RedshiftPDF([0, 1, 2], [[0.9, 0.1], [0.2, 0.8]]).to_table()
    >>> show_redshifts(table)
    z_median flags
    -------- -----
      0.5556     0
      1.3750     0
    """
    if f"{prefix}pz" not in table.colnames:
        there = ", ".join(table.colnames)
        msg = f"'table' has no column '{prefix}pz' of p(z); there are {there}"
        raise ValueError(msg)
    return RedshiftView(table, prefix, rows)
