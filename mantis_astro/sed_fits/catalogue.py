"""`fit_priors`: the priors of all galaxies of a table, in the forms that codes read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mantis_astro.exceptions import NoDataWarning
from mantis_astro.flags import Flag, decode_flags
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf.tables import as_densities
from mantis_astro.priors import (
    RedshiftPrior,
    bagpipes_catalogue,
    eazy_table,
    quantile_table,
)
from mantis_astro.priors.double_counting import (
    sedpy_names,
    warn_of_double_counting,
)
from mantis_astro.prospector import configure_zred
from mantis_astro.sed_fits.nodes import make_nodes

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from numpy.typing import ArrayLike

    from mantis_astro.bands import BandLike

__all__ = ["CataloguePriors", "fit_priors"]


def fit_priors(
    table: Table | RedshiftPDF,
    *,
    ids: str | Sequence | None = None,
    prefix: str = "",
    distrust: Flag | int = 0,
    floor: float = 1e-3,
    temper: float = 1.0,
    support: tuple[float, float] | None = None,
    bands: Iterable[BandLike] | None = None,
) -> CataloguePriors:
    """
    Make the priors of all galaxies of a table.

    Parameters
    ----------
    table : `~astropy.table.Table` or RedshiftPDF
        As `PhotoZ.add_redshifts` gives it, with the columns ``pz`` and ``flags``; or
        the densities themselves.
    ids : str or sequence, optional
        Name of the column of identifiers, or the identifiers; by default the column
        ``id`` if there is one, else the row numbers from 0. Used as text.
    prefix : str, optional
        What stands before the names of the columns of densities.
    distrust : Flag or int, optional
        Flags under which p(z) is not used: the prior of such a row is flat, for example
        ``Flag.OOD_FEATURE | Flag.OFF_CENTRE``. That of a row flagged ``NO_DATA`` always
        is.
    floor, temper, support, bands : optional
        As for `RedshiftPDF.to_prior`, the same for all.

    Returns
    -------
    CataloguePriors
        One prior for each row, in the order of the table.

    Raises
    ------
    ValueError
        If identifiers are not unique or not as many as rows, or an option is wrong.

    Warns
    -----
    NoDataWarning
        Once, if some priors are flat; ``notes`` has the reason for each.

    Examples
    --------
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.sed_fits import fit_priors
    >>> pdf = RedshiftPDF([0, 1, 2], [[0.9, 0.1], [0.2, 0.8]])
    >>> priors = fit_priors(pdf, ids=["a", "b"], floor=0)
    >>> priors["b"].probability
    array([0.2, 0.8])
    """
    pdf = as_densities(table, prefix=prefix)
    if not isinstance(pdf, RedshiftPDF) or pdf.ndim != 1:
        msg = (
            "'table' must be a table or a one-dimensional RedshiftPDF, got "
            f"{type(table)}"
        )
        raise ValueError(msg)
    names = _identifiers(table, ids, len(pdf))
    options = {"floor": floor, "temper": temper, "support": support}
    _flat(pdf, **options)  # a wrong option is wrong for all
    bands = None if bands is None else tuple(bands)
    made = [_make_prior(one, distrust, {**options, "bands": bands}) for one in pdf]
    flat = [
        name for name, (prior, _) in zip(names, made, strict=True) if not prior.has_data
    ]
    if flat:
        some = ", ".join(flat[:5]) + (", ..." if len(flat) > 5 else "")
        msg = f"{len(flat)} of {len(names)} priors are flat ({some}): 'notes' says why"
        warnings.warn(msg, NoDataWarning, stacklevel=2)
    return CataloguePriors(
        names,
        [prior for prior, _ in made],
        flags=np.array(pdf.flags),
        notes=[note for _, note in made],
    )


def _identifiers(table, ids, n):
    columns = getattr(table, "colnames", ())
    if isinstance(ids, str):
        if ids not in columns:
            msg = f"'ids': no column '{ids}'; there are {', '.join(columns) or 'none'}"
            raise KeyError(msg)
        ids = table[ids]
    elif ids is None:
        ids = table["id"] if "id" in columns else range(n)
    names = [str(one) for one in ids]
    if len(names) != n:
        msg = f"'ids' must be one for each of the {n} rows, got {len(names)}"
        raise ValueError(msg)
    if len(set(names)) < n:
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"'ids' must be unique, got {twice!r} {names.count(twice)} times"
        raise ValueError(msg)
    return names


def _make_prior(pdf, distrust, options):
    """Prior of one galaxy, flat where there is no other, and a note."""
    names = decode_flags(int(pdf.flags))
    if int(pdf.flags) & (int(distrust) | Flag.NO_DATA):
        return _flat(pdf, **options), ", ".join(names) + ": flat"
    try:
        return pdf.to_prior(**options), ", ".join(names)
    except ValueError as error:  # p(z) of this galaxy is not within the support
        return _flat(pdf, **options), f"flat: {error}"


def _flat(pdf, *, floor, temper, support, bands=None):
    low, high = (pdf.bin_edges[0], pdf.bin_edges[-1]) if support is None else support
    return RedshiftPrior(
        [float(low), float(high)],
        [1.0],
        floor=floor,
        temper=temper,
        bands=None if bands is None else (),
        has_data=False,
    )


class CataloguePriors(Sequence):
    """
    One prior for each galaxy of a catalogue, by row or by identifier.

    Parameters
    ----------
    ids : sequence of str
        Identifiers, unique.
    priors : sequence of RedshiftPrior
        One for each.
    flags : array_like of int, optional
        Quality flags of each p(z).
    notes : sequence of str, optional
        What is to be said of each: names of its flags, and why the prior is flat.

    Attributes
    ----------
    ids : tuple of str
        Identifiers.
    flags : ndarray of int
        Quality flags.
    notes : tuple of str
        Notes.
    """

    def __init__(
        self,
        ids: Sequence[str],
        priors: Sequence[RedshiftPrior],
        *,
        flags: ArrayLike | None = None,
        notes: Sequence[str] | None = None,
    ) -> None:
        self.ids = tuple(ids)
        self._priors = tuple(priors)
        n = len(self.ids)
        self.flags = np.zeros(n, int) if flags is None else np.asarray(flags)
        self.notes = ("",) * n if notes is None else tuple(notes)
        if not n == len(self._priors) == len(self.flags) == len(self.notes):
            msg = f"there must be a prior, flags and a note for each of the {n} ids"
            raise ValueError(msg)
        self._row = {name: row for row, name in enumerate(self.ids)}

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, key):
        """Prior of a row (int) or identifier (str); of a slice, those priors."""
        if isinstance(key, slice):
            return CataloguePriors(
                self.ids[key],
                self._priors[key],
                flags=self.flags[key],
                notes=self.notes[key],
            )
        if isinstance(key, str):
            if key not in self._row:
                msg = f"no galaxy {key!r} among {len(self)}"
                raise KeyError(msg)
            key = self._row[key]
        return self._priors[key]

    def to_table(self, quantiles: ArrayLike | None = None) -> QTable:
        """
        Make a table to look at, a row each.

        Parameters
        ----------
        quantiles : array_like, optional
            Whole per cents, by default 0.05, 0.16, 0.5, 0.84, 0.95.

        Returns
        -------
        `~astropy.table.QTable`
            ``id``, the quantiles ``z_q005``, ..., masked where the prior is flat,
            ``flags`` and ``note``. With names that SNANA or a form for LePHARE wants:
            see `~mantis_astro.priors.quantile_table`.
        """
        quantiles = [0.05, 0.16, 0.5, 0.84, 0.95] if quantiles is None else quantiles
        table = quantile_table(self._priors, quantiles, ids=list(self.ids))
        table["flags"] = self.flags
        table["note"] = np.array(self.notes, dtype=str)
        return table

    def to_eazy(
        self, zgrid: ArrayLike, *, bands: Iterable[BandLike] | None = None
    ) -> np.ndarray:
        """
        Make eazy's table of priors.

        Parameters
        ----------
        zgrid : array_like
            ``ez.zgrid``, shape ``(n_z,)``.
        bands : iterable of Band or str, optional
            Bands that are fitted: says whether data count twice.

        Returns
        -------
        ndarray
            Shape ``(n, n_z)`` for ``ez.extra_lnp``; the rows must be those of eazy's
            catalogue.
        """
        return eazy_table(self._priors, zgrid, bands=bands)

    def to_bagpipes(
        self,
        load_data: Callable,
        *,
        name: str = "redshift_by_galaxy",
        bands: Iterable[BandLike] | None = None,
    ) -> tuple[dict, Callable]:
        """
        Give each galaxy of ``bagpipes.fit_catalogue`` its own prior.

        Parameters
        ----------
        load_data : callable
            What bagpipes loads galaxies with: takes an identifier.
        name : str, optional
            What bagpipes shall call the prior.
        bands : iterable of Band or str, optional
            Bands that are fitted: says whether data count twice.

        Returns
        -------
        instructions : dict
            For ``fit_instructions.update(...)``.
        load_data : callable
            To give to ``fit_catalogue`` instead of the one passed.
        """
        fitted = sedpy_names(bands)
        for prior in self._priors:
            how = "bands=[...] of the catalogue"
            if warn_of_double_counting(prior, fitted, how=how, stacklevel=2):
                break
        priors = dict(zip(self.ids, self._priors, strict=True))
        return bagpipes_catalogue(priors, load_data, name=name)

    def to_prospector(
        self, key: int | str, model_params: dict, *, obs: Any = None
    ) -> tuple[dict, list[str]]:
        """
        Free the redshift of a prospector model under the prior of one galaxy.

        Parameters
        ----------
        key : int or str
            Row or identifier.
        model_params, obs : optional
            As for `~mantis_astro.configure_zred`.

        Returns
        -------
        new_params : dict
            The parameter set of this galaxy.
        changes : list of str
            What was changed, the note on the prior first.
        """
        params, changes = configure_zred(model_params, self[key], obs=obs)
        row = self._row[key] if isinstance(key, str) else key
        note = [f"p(z): {self.notes[row]}"] if self.notes[row] else []
        return params, note + changes

    def to_nodes(self, n: int = 9, table: Table | None = None) -> QTable:
        """
        Make a catalogue with several redshifts for each galaxy, of equal weight.

        For codes that fit at the redshift of a column: CIGALE (``redshift``), LePHARE
        with ``ZFIX YES`` (its ``zspec``). `pool_nodes` puts the results together.

        Parameters
        ----------
        n : int, optional
            Nodes for each galaxy, at the middles of ``n`` equal shares of the prior.
        table : `~astropy.table.Table`, optional
            Columns to repeat, such as fluxes: a row for each galaxy.

        Returns
        -------
        `~astropy.table.QTable`
            ``n`` rows for each galaxy: ``id``, such as ``"7_3"`` for the node 3 of
            galaxy 7, ``redshift``, ``galaxy`` (its identifier), and the columns of the
            table.

        Raises
        ------
        ValueError
            If the table has another number of rows.
        """
        return make_nodes(self, n, table)
