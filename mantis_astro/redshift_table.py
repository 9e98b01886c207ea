"""Redshift columns on a table: streaming, resumable, nothing of the table lost."""

import contextlib
import hashlib
import logging
import sys
import warnings
from collections.abc import Mapping
from itertools import islice

import numpy as np
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.console import ProgressBar

from mantis_astro.cutouts import CutoutSource
from mantis_astro.exceptions import OutOfDistributionWarning
from mantis_astro.extinction import select_ebv
from mantis_astro.flags import FLAG_TABLE, Flag
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf.columns import OOD_SCORE, OUTPUT_COLUMNS
from mantis_astro.shift import ShiftReport
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.tables.journal import RowJournal

__all__ = ["add_redshifts", "table_features"]

_WATCHED = 2000  # rows by which the sample as a whole is judged
_FEWEST_WATCHED = 50

log = logging.getLogger(__name__)


def add_redshifts(
    photoz,
    table,
    source=None,
    *,
    ra=None,
    dec=None,
    ebv=None,
    prefix="",
    columns=None,
    dihedral=False,
    rng=None,
    chunk=64,
    progress=False,
    resume=None,
):
    """
    Add redshift columns to a table of galaxies.

    Rows are predicted as their cutouts come, so that memory does not grow with the
    table beyond the columns themselves. Trouble with a row is a flag and a masked
    value, and never stops the others.

    Parameters
    ----------
    photoz : PhotoZ
        The model.
    table : `~astropy.table.Table`
        The galaxies; not changed.
    source : CutoutSource, optional
        Where cutouts come from; by default the surveys' servers. Not allowed with a
        photometric model, which reads fluxes from the table.
    ra, dec : str, optional
        Names of the columns of coordinates, where they are not found.
    ebv : float, array_like, mapping or str, optional
        Galactic E(B-V) in magnitudes, or the name of its column, or a mapping of dust
        map to either. By default a column ``ebv`` if there is one, else the model's
        default, which is flagged.
    prefix : str, optional
        Put before the names of all new columns.
    columns : sequence of str, optional
        Which of the new columns to keep, without prefix; by default all.
    dihedral : bool, optional
        Average p(z) over the eight orientations of each image.
    rng : `numpy.random.Generator`, optional
        Adds a column ``z_mc``: one draw from each p(z).
    chunk : int, optional
        How many objects are predicted at once. Answers do not depend on it.
    progress : bool, optional
        Whether to show a progress bar on standard error.
    resume : str or path-like, optional
        A file that keeps finished rows as they come. If it is there already, its rows
        are not computed again: call again with the same arguments after a crash, a
        kill or Ctrl-C. Rows of which a cutout failed to be fetched are not kept, so
        that they are tried again.

    Returns
    -------
    `~astropy.table.QTable`
        All columns, units, masks, meta and indices of the input; then the columns of
        `RedshiftPDF.to_table`. Rows without data have masked estimates, a ``pz``
        uniform in density, and say why in ``flags``. ``ood_score`` says how little the
        training set supports a redshift of each galaxy, as it has none alike or those
        disagree; masked if the model has no statistics of that.
        ``meta`` tells model, versions, thresholds and redshift bins.

    Raises
    ------
    KeyError
        If coordinates, fluxes or a named column are not there.
    TypeError
        If ``table`` is no table, or ``source`` no source of cutouts.
    ValueError
        If a new column has the name of an old one, or an argument does not fit.
    MantisError
        If the file to resume from belongs to another table or model.

    Warns
    -----
    OutOfDistributionWarning
        If the sample as a whole is unlike the training set. All its rows are then
        flagged ``OOD_DOMAIN``. At least 50 rows are needed to tell; of more than 2,000
        as many, evenly spaced, are looked at.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from mantis_astro import FitsFolder, PhotoZ
    >>> photoz = PhotoZ.from_pretrained("simulated-early")
    >>> empty_sky = FitsFolder(getfixture("tmp_path"))
    >>> table = QTable({"name": ["NGC 1"], "ra": [1.816], "dec": [27.708]})
    >>> table = photoz.add_redshifts(table, empty_sky, columns=["z_median", "flags"])
    >>> table.colnames
    ['name', 'ra', 'dec', 'z_median', 'flags']
    >>> table["z_median"].mask
    array([ True])
    """
    if not isinstance(table, Table):
        msg = (
            f"'table' must be an astropy Table, got {type(table)}; QTable.read reads "
            "files, QTable.from_pandas takes a DataFrame"
        )
        raise TypeError(msg)
    if chunk < 1:
        msg = f"'chunk' must be at least 1, got {chunk}"
        raise ValueError(msg)
    output = QTable(table, copy=True)
    names = _new_names(output, prefix, columns, with_draws=rng is not None)
    ebv = _find_ebv(output, ebv)
    card, n = photoz.card, len(output)
    probability = np.ones((n, card.n_bins), np.float32)
    score = np.full(n, np.nan, np.float32)
    domain = _DomainWatch(card.reference, n)
    flags = np.full(n, Flag.NO_DATA, np.int32)
    identity = {
        "model": card.name,
        "sha256": card.sha256,
        "dihedral": dihedral,
        "ebv": _fingerprint(
            *_plain_arrays(ebv.values() if isinstance(ebv, Mapping) else [ebv])
        ),
    }
    if card.is_photometric:
        if source is not None:
            msg = f"'{card.name}' reads fluxes from the table: leave 'source' out"
            raise TypeError(msg)
        todo = np.ones(n, bool)
        identity["table"] = _fingerprint(*_plain_arrays(output.itercols()))

        def predict(rows):
            return _from_photometry(photoz, output, rows, ebv)

    else:
        coords, todo = find_coordinates(output, ra=ra, dec=dec)
        flags[~todo] |= Flag.BAD_COORDINATES
        source = _check_source(source)
        identity["table"] = _fingerprint(coords.ra.deg, coords.dec.deg)

        def predict(rows):
            return _from_cutouts(
                photoz, coords, rows, source, ebv, dihedral=dihedral, chunk=chunk
            )

    def keep(rows, row_flags, values):
        flags[rows], probability[rows] = row_flags, values[:, : card.n_bins]
        if card.reference is not None:
            score[rows] = values[:, card.n_bins]
            domain.add(rows, values[:, card.n_bins + 1 :])

    with _open_journal(resume, identity, card.n_bins + domain.n_value) as journal:
        if journal is not None:
            done, done_flags, done_values = journal.read()
            keep(done, done_flags, done_values)
            todo[done] = False
            if len(done):
                log.info("%d of %d rows were finished before", len(done), n)
        with _progress_bar(np.count_nonzero(todo), progress) as bar:
            for rows, values, f, is_final in predict(np.flatnonzero(todo)):
                keep(rows, f, values)
                if journal is not None:
                    journal.append(rows[is_final], f[is_final], values[is_final])
                bar(len(rows))

    empty = (flags & Flag.NO_DATA) != 0
    probability[empty] = 0  # made uniform in density
    if domain.is_shifted(~empty):
        flags[~empty] |= Flag.OOD_DOMAIN
    pdf = RedshiftPDF.from_batch(card.bin_edges, probability, flags=flags)
    _report(flags)
    return _attach(output, pdf, score, names, prefix, photoz.provenance(), rng)


def table_features(
    photoz, table, source=None, *, ra=None, dec=None, ebv=None, chunk=64
):
    """
    Compute what the last layer of the network reads, for each row of a table.

    Parameters
    ----------
    photoz : PhotoZ
        The model.
    table, source, ra, dec, ebv, chunk
        As for `add_redshifts`.

    Returns
    -------
    `~numpy.ndarray`
        Shape (n, n_feature), float32; NaN in rows of which nothing was usable.

    Raises
    ------
    KeyError, TypeError, ValueError
        As `add_redshifts` does.
    """
    ebv = _find_ebv(table, ebv)
    n_feature = photoz.network.fc1.in_features
    features = np.full((len(table), n_feature), np.nan, np.float32)
    if photoz.card.is_photometric:
        batches = ((rows, table[rows]) for rows in _parts(np.arange(len(table))))
    else:
        coords, good = find_coordinates(table, ra=ra, dec=dec)
        rows = np.flatnonzero(good)
        answers = _check_source(source).iter_cutouts(coords[rows], photoz.card.bands)
        batches = (
            (rows[[index for index, *_ in part]], [cutouts for _, cutouts, _ in part])
            for part in _batched(answers, chunk)
        )
    for part, data in batches:
        prepared = photoz.prepare(data, select_ebv(ebv, part))
        features[part] = photoz.infer_features(prepared)
    return features


def _batched(items, size):
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def _parts(rows, size=8192):
    return (rows[start : start + size] for start in range(0, len(rows), size))


class _DomainWatch:
    """Components of the features of some rows, to judge the sample as a whole."""

    def __init__(self, reference, n_row):
        self._reference = reference
        n_component = 0 if reference is None else reference.n_component
        self.n_value = 0 if reference is None else 1 + n_component  # and the score
        rows = np.linspace(0, max(n_row - 1, 0), min(n_row, _WATCHED)).astype(int)
        self._place = np.full(n_row, -1)
        self._place[rows] = np.arange(len(rows))
        self._rows = rows
        self._components = np.full((len(rows), n_component), np.nan, np.float32)

    def add(self, rows, components):
        place = self._place[rows]
        self._components[place[place >= 0]] = components[place >= 0]

    def is_shifted(self, usable):
        """Compare with the training set, and warn of a difference."""
        there = usable[self._rows] & np.isfinite(self._components).all(1)
        if self._reference is None or there.sum() < _FEWEST_WATCHED:
            return False
        reference = self._reference.components(self._reference.sample_features)
        try:
            report = ShiftReport.compare(reference, self._components[there], rng=0)
        except ValueError as error:  # too few different objects
            log.info("not compared with the training set: %s", error)
            return False
        auc, threshold = report.domain.statistic, Flag.OOD_DOMAIN.threshold
        if not (report.is_shifted and auc >= threshold):
            return False
        msg = (
            "the sample is unlike the training set: a classifier tells them apart with "
            f"AUC {auc:.2f} (flagged OOD_DOMAIN from {threshold}; 0.5 is chance). "
            "Expect larger errors than the model's own; PhotoZ.shift_report says more"
        )
        warnings.warn(msg, OutOfDistributionWarning, stacklevel=4)
        return True


def _from_cutouts(photoz, coords, rows, source, ebv, *, dihedral, chunk):
    """Yield (rows, probability, flags, is_final) for each chunk of answers."""
    awaited = np.ones(len(rows), bool)
    answers = iter(source.iter_cutouts(coords[rows], photoz.card.bands))
    with contextlib.ExitStack() as stack:
        if hasattr(answers, "close"):  # a source may hold connections
            stack.callback(answers.close)
        for batch in _batched(answers, chunk):
            index, cutouts, statuses = zip(*batch, strict=True)
            index = np.array(index)
            if not awaited[index].all() or len(set(index.tolist())) < len(index):
                msg = "'source' yielded an index twice: the answers cannot be trusted"
                raise ValueError(msg)
            awaited[index] = False
            part = rows[index]
            prepared = photoz.prepare(cutouts, select_ebv(ebv, part))
            answer = photoz.infer(prepared, dihedral=dihedral)
            flags = answer.flags | [_status_flags(s.values()) for s in statuses]
            yield part, _packed(answer), flags, (flags & Flag.FETCH_FAILED) == 0
    lost = rows[awaited]
    if len(lost):
        log.warning("the source gave no answer for %d positions", len(lost))
        flags = np.full(len(lost), Flag.FETCH_FAILED | Flag.NO_DATA, np.int32)
        n_value = photoz.card.n_bins + _DomainWatch(photoz.card.reference, 0).n_value
        values = np.full((len(lost), n_value), np.nan, np.float32)
        yield lost, values, flags, np.zeros(len(lost), bool)


def _from_photometry(photoz, table, rows, ebv):
    """Yield (rows, probability, flags, is_final) for each chunk of rows."""
    for part in _parts(rows):
        prepared = photoz.prepare(table[part], select_ebv(ebv, part))
        answer = photoz.infer(prepared)
        yield part, _packed(answer), answer.flags, np.ones(len(part), bool)


def _packed(answer):
    """All of an answer that is kept for each row, (n, n_bins + n_value) float32."""
    if not answer.components.shape[1]:
        return answer.probability
    parts = answer.probability, answer.ood_score[:, None], answer.components
    return np.hstack(parts).astype(np.float32)


def _status_flags(statuses):
    flags = 0
    for status in statuses:
        if status.state == "no_coverage":
            flags |= int(Flag.OUT_OF_FOOTPRINT)
        elif status.state == "failed":
            flags |= int(Flag.FETCH_FAILED)
    return flags


def _check_source(source):
    if source is None:
        from mantis_astro.services import SurveyCutouts

        return SurveyCutouts()  # logs its plan first: hosts, requests, minutes
    if not isinstance(source, CutoutSource):
        msg = (
            "'source' must have a method iter_cutouts(coords, bands), as FitsFolder or "
            f"CutoutStore have, got {type(source)}"
        )
        raise TypeError(msg)
    return source


def _new_names(table, prefix, columns, *, with_draws):
    """Names of the new columns, without prefix; none of them taken."""
    known = [definition.name for definition in OUTPUT_COLUMNS]
    if with_draws:
        known.append("z_mc")
    strangers = [name for name in columns or () if name not in known]
    if strangers:
        msg = f"'columns' may hold {', '.join(known)}; got {strangers}"
        raise ValueError(msg)
    names = [name for name in known if columns is None or name in columns]
    taken = [prefix + name for name in names if prefix + name in table.colnames]
    if taken:
        msg = (
            f"the table has {', '.join(taken)} already: choose another 'prefix' "
            f"(now {prefix!r}) or fewer 'columns'"
        )
        raise ValueError(msg)
    return names


def _find_ebv(table, ebv):
    """E(B-V) with the names of columns replaced by the columns."""
    if ebv is None:
        ebv = next((name for name in table.colnames if name.lower() == "ebv"), None)
    if isinstance(ebv, str):
        if ebv not in table.colnames:
            msg = f"no column '{ebv}' of E(B-V); there are {', '.join(table.colnames)}"
            raise KeyError(msg)
        return table[ebv]
    if isinstance(ebv, Mapping):
        return {dust_map: _find_ebv(table, values) for dust_map, values in ebv.items()}
    if np.ndim(ebv) and len(ebv) != len(table):
        msg = f"'ebv' has {len(ebv)} values for {len(table)} rows"
        raise ValueError(msg)
    return ebv


def _plain_arrays(columns):
    """Columns of numbers as arrays, masked values as NaN, to be fingerprinted."""
    for column in columns:
        values = np.ma.asarray(getattr(column, "unmasked", column))
        if values.dtype.kind in "iuf":
            mask = getattr(column, "mask", False)
            yield np.ma.array(values, float, mask=mask).filled(np.nan)


def _fingerprint(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _open_journal(path, identity, n_bins):
    if path is None:
        return contextlib.nullcontext()
    return RowJournal(path, identity, n_bins)


@contextlib.contextmanager
def _progress_bar(total, wanted):
    """Give a function to call with the number of rows just finished."""
    if not wanted or total == 0:
        yield lambda _: None
        return
    with ProgressBar(total, file=sys.stderr) as bar:
        done = 0

        def advance(n):
            nonlocal done
            done += n
            bar.update(done)

        yield advance


def _report(flags):
    for flag in FLAG_TABLE:
        count = np.count_nonzero(flags & (1 << flag.bit))
        if count:
            log.info("%d of %d rows: %s", count, len(flags), flag.description)


def _attach(output, pdf, score, names, prefix, provenance, rng):
    new = pdf.to_table()
    unknown = np.isnan(score)
    new[OOD_SCORE.name] = (
        MaskedColumn(score, mask=unknown) if unknown.any() else Column(score)
    )
    new[OOD_SCORE.name].info.description = OOD_SCORE.description
    new[OOD_SCORE.name].info.meta = {"ucd": OOD_SCORE.ucd}
    if "z_mc" in names:
        new["z_mc"] = pdf.sample(1, rng)[:, 0]
        new["z_mc"].info.description = "One draw from p(z)"
        new["z_mc"].info.meta = {"ucd": "src.redshift.phot"}
    for name in names:
        output[prefix + name] = new[name]
    facts = {**provenance, "bin_edges": pdf.bin_edges.tolist()}
    output.meta.update({prefix + key: value for key, value in facts.items()})
    return output
