"""`run_fits`: fit a catalogue row by row; failures stay alone, and a run resumes."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from astropy.table import MaskedColumn, QTable

from mantis_astro.atomic import atomic_file
from mantis_astro.exceptions import FailedFitWarning
from mantis_astro.tables.journal import AnotherRunError

if TYPE_CHECKING:
    from mantis_astro.sed_fits.catalogue import CataloguePriors
    from mantis_astro.typing import PathLike

__all__ = ["CatalogueFits", "run_fits"]

log = logging.getLogger(__name__)

_PRIOR = "_prior"  # in the file of a fit: checksum of the prior it was made with
# taken by the columns of the table, and by the arguments of numpy.savez
_RESERVED = "id", "problem", _PRIOR, "file", "allow_pickle"
_LONGEST = 200  # characters of a file's name, of the 255 that most systems allow


def run_fits(
    fit_function: Callable,
    priors: CataloguePriors,
    folder: PathLike,
    *,
    ids: Iterable[str] | None = None,
) -> CatalogueFits:
    """
    Fit galaxies one after the other, each under its own prior.

    Parameters
    ----------
    fit_function : callable
        Takes the identifier (str) and the `RedshiftPrior` of a galaxy. Returns a dict
        of names to posterior samples, shape ``(n_sample,)``, or to single numbers, such
        as the logarithm of the evidence.
    priors : CataloguePriors
        As `fit_priors` makes them.
    folder : str or path-like
        Where each fit is written as soon as it is done; made if it does not exist. What
        is there already is not fitted again. Several processes may share it, each with
        ``ids`` of its own.
    ids : iterable of str, optional
        Galaxies to fit, by default all.

    Returns
    -------
    CatalogueFits
        Samples and a table of percentiles; which failed, and why. A fit that failed is
        tried again by the next run.

    Raises
    ------
    KeyError
        If there is no such galaxy.
    MantisError
        If the folder has a fit that was made with another prior.

    Warns
    -----
    FailedFitWarning
        Once, if some fits raise an error or return something else.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.sed_fits import fit_priors, run_fits
    >>> pdf = RedshiftPDF([0, 1, 2], [[0.9, 0.1], [0.2, 0.8]])
    >>> priors = fit_priors(pdf, ids=["a", "b"])
    >>> def fit(name, prior):
    ...     return {"zred": prior.sample(1, 1000), "ln_evidence": -3.0}
    >>> folder = getfixture("tmp_path") / "fits"
    >>> fits = run_fits(fit, priors, folder)
    >>> fits.to_table().colnames
    ['id', 'zred_16', 'zred_50', 'zred_84', 'ln_evidence', 'problem']
    """
    ids = list(priors.ids) if ids is None else [str(name) for name in ids]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    problems = {}
    for name in ids:
        prior, path = priors[name], _path(folder, name)
        if _is_done(path, prior):
            continue
        try:
            values = _checked(fit_function(name, prior))
        except Exception as error:  # noqa: BLE001  whatever a sampler raises
            log.warning("fit of %s failed: %r", name, error)
            problems[name] = f"{type(error).__name__}: {error}"
            continue
        with atomic_file(path) as temporary:
            np.savez(temporary, **values, **{_PRIOR: _checksum(prior)})
    if problems:
        name, problem = next(iter(problems.items()))
        msg = (
            f"{len(problems)} of {len(ids)} fits failed, the first that of {name} "
            f"({problem}); the next run tries them again"
        )
        warnings.warn(msg, FailedFitWarning, stacklevel=2)
    return CatalogueFits(folder, ids, problems)


class CatalogueFits(Mapping):
    """
    Fits of a catalogue on disk: by identifier, a dict of samples.

    Parameters
    ----------
    folder : str or path-like
        Where `run_fits` wrote them.
    ids : iterable of str
        Galaxies, those that failed among them.
    problems : dict of str to str, optional
        Why those failed.

    Attributes
    ----------
    problems : dict of str to str
        What went wrong, by identifier.
    """

    def __init__(
        self,
        folder: PathLike,
        ids: Iterable[str],
        problems: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._ids = tuple(ids)
        self.problems = dict(problems or {})

    def __iter__(self):
        return (name for name in self._ids if _path(self._folder, name).exists())

    def __len__(self):
        return sum(1 for _ in self)

    def __getitem__(self, name):
        path = _path(self._folder, name)
        if name not in self._ids or not path.exists():
            why = self.problems.get(name, "it was not fitted")
            msg = f"no fit of {name!r}: {why}"
            raise KeyError(msg)
        with np.load(path) as stored:
            return {key: stored[key] for key in stored.files if key != _PRIOR}

    def to_table(self, percentiles: Iterable[float] = (16, 50, 84)) -> QTable:
        """
        Make a table of percentiles, a row for each galaxy.

        Parameters
        ----------
        percentiles : iterable of float, optional
            From 0 to 100.

        Returns
        -------
        `~astropy.table.QTable`
            ``id``; ``<name>_16``, ... of samples and ``<name>`` of single numbers,
            masked where there is no fit; ``problem``, empty where all is well.
        """
        percentiles = list(percentiles)
        rows = {name: _summarize(self[name], percentiles) for name in self}
        columns = dict.fromkeys(key for row in rows.values() for key in row)
        table = QTable({"id": np.array(self._ids, dtype=str)})
        for column in columns:
            values = [rows.get(name, {}).get(column, np.nan) for name in self._ids]
            table[column] = MaskedColumn(values, mask=np.isnan(values))
        problems = [
            "" if name in rows else self.problems.get(name, "it was not fitted")
            for name in self._ids
        ]
        table["problem"] = np.array(problems, dtype=str)
        return table


def _path(folder, name):
    text = quote(name, safe="")
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}-{zlib.crc32(text.encode()):08x}"
    return folder / f"{text}.npz"


def _is_done(path, prior):
    if not path.exists():
        return False
    with np.load(path) as stored:
        if int(stored[_PRIOR]) == _checksum(prior):
            return True
    msg = (
        f"{path} is a fit with another prior: give another folder, or remove the file "
        "to fit again"
    )
    raise AnotherRunError(msg)


def _checksum(prior):
    return zlib.crc32(
        prior.probability.tobytes(), zlib.crc32(prior.bin_edges.tobytes())
    )


def _checked(values):
    if not isinstance(values, Mapping) or not values:
        msg = (
            f"'fit_function' must return a dict of names to samples, got {type(values)}"
        )
        raise TypeError(msg)
    arrays = {key: np.asarray(value, dtype=float) for key, value in values.items()}
    for key, array in arrays.items():
        if not isinstance(key, str) or key in _RESERVED:
            msg = (
                f"names of samples must be texts other than {', '.join(_RESERVED)}, "
                f"got {key!r}"
            )
            raise ValueError(msg)
        if array.ndim > 1 or not array.size:
            msg = (
                f"samples of {key!r} must have the shape (n_sample,), got {array.shape}"
            )
            raise ValueError(msg)
        if array.ndim == 1 and not np.isfinite(array).all():
            msg = f"samples of {key!r} are not finite"
            raise ValueError(msg)
    return arrays


def _summarize(values, percentiles):
    row = {}
    for name, array in values.items():
        if array.ndim == 0:
            row[name] = float(array)
            continue
        for percent, value in zip(
            percentiles, np.percentile(array, percentiles), strict=True
        ):
            row[f"{name}_{percent:g}"] = float(value)
    return row
