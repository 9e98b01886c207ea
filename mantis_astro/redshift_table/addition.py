"""`add_redshifts`: a table in, the same table with redshift columns out."""

import contextlib
import logging
from collections.abc import Mapping

import numpy as np
from astropy.table import Column, MaskedColumn, QTable

from mantis_astro.extinction import select_ebv
from mantis_astro.flags import FLAG_TABLE, Flag
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf.columns import OOD_SCORE, OUTPUT_COLUMNS
from mantis_astro.progress import progress_bar
from mantis_astro.redshift_table.batches import find_ebv, fingerprint, open_rows
from mantis_astro.redshift_table.domain import DomainWatch
from mantis_astro.tables.journal import RowJournal

__all__ = ["add_redshifts"]

log = logging.getLogger("mantis_astro.redshift_table")


def add_redshifts(
    predictor,
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

    Parameters
    ----------
    predictor : Predictor
        The model.
    table, source, ra, dec, ebv, prefix, columns, dihedral, rng, chunk, progress, resume
        As for `PhotoZ.add_redshifts`.

    Returns
    -------
    `~astropy.table.QTable`
        See `PhotoZ.add_redshifts`, also for what is raised.
    """
    card = predictor.card
    found = open_rows(card, table, source, ra=ra, dec=dec, chunk=chunk)
    output = QTable(table, copy=True)
    names = _new_names(output, prefix, columns, with_draws=rng is not None)
    ebv = find_ebv(output, ebv)
    n = len(output)
    probability = np.ones((n, card.n_bins), np.float32)
    score = np.full(n, np.nan, np.float32)
    domain = DomainWatch(card.reference, n)
    flags = np.full(n, Flag.NO_DATA, np.int32)
    flags[~found.good] |= found.flags
    todo = found.good.copy()

    def keep(rows, row_flags, values):
        flags[rows], probability[rows] = row_flags, values[:, : card.n_bins]
        if card.reference is not None:
            score[rows] = values[:, card.n_bins]
            domain.add(rows, values[:, card.n_bins + 1 :])

    n_value = card.n_bins + (0 if card.reference is None else 1 + domain.n_component)
    identity = {
        "model": card.name,
        "sha256": card.sha256,
        "dihedral": dihedral,
        "ebv": fingerprint(ebv.values() if isinstance(ebv, Mapping) else [ebv]),
        "table": found.fingerprint,
    }
    with _open_journal(resume, identity, n_value) as journal:
        if journal is not None:
            done, done_flags, done_values = journal.read()
            keep(done, done_flags, done_values)
            todo[done] = False
            if len(done):
                log.info("%d of %d rows were finished before", len(done), n)
        finished = 0
        with progress_bar(np.count_nonzero(todo), wanted=progress) as update:
            for rows, data, status in found.batches(np.flatnonzero(todo)):
                if data is None:
                    flags[rows] = status
                else:
                    prepared = predictor.prepare(data, select_ebv(ebv, rows))
                    answer = predictor.infer(prepared, dihedral=dihedral)
                    row_flags = status | answer.flags
                    values = _packed(answer)
                    keep(rows, row_flags, values)
                    if journal is not None:
                        final = (row_flags & Flag.FETCH_FAILED) == 0
                        journal.append(rows[final], row_flags[final], values[final])
                finished += len(rows)
                update(finished)

    empty = (flags & Flag.NO_DATA) != 0
    probability[empty] = 0  # made uniform in density
    if domain.is_shifted(~empty):
        flags[~empty] |= Flag.OOD_DOMAIN
    pdf = RedshiftPDF.from_batch(card.bin_edges, probability, flags=flags)
    _report(flags)
    return _attach(output, pdf, score, names, prefix, predictor.provenance(), rng)


def _packed(answer):
    """All of an answer that is kept for each row, (n, n_bins + n_value) float32."""
    if not answer.components.shape[1]:
        return answer.probability
    parts = answer.probability, answer.ood_score[:, None], answer.components
    return np.hstack(parts).astype(np.float32)


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


def _open_journal(path, identity, n_bins):
    if path is None:
        return contextlib.nullcontext()
    return RowJournal(path, identity, n_bins)


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
