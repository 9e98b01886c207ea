"""`add_redshifts`: add redshift columns to a table."""

import contextlib
import logging
from collections.abc import Mapping

import numpy as np
from astropy.table import QTable

from mantis_astro.extinction import find_ebv, resolve_ebv, select_ebv
from mantis_astro.flags import Flag, flag_counts
from mantis_astro.fluxes import SENTINELS
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.prediction import Inference
from mantis_astro.progress import progress_bar
from mantis_astro.redshift_table.batches import fingerprint, open_rows
from mantis_astro.redshift_table.columns import NewColumns, remove_redshifts
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
    missing=SENTINELS,
    rng=None,
    chunk=64,
    progress=True,
    resume=None,
    overwrite=False,
    domain=None,
):
    """
    Add redshift columns to a table of galaxies.

    Parameters
    ----------
    predictor : Predictor
        The model.
    table, source, ra, dec, ebv, prefix, columns, dihedral, missing, rng, chunk
        As for `PhotoZ.add_redshifts`.
    progress, resume, overwrite
        As for `PhotoZ.add_redshifts`.
    domain : DomainWatch, optional
        Takes note of the rows, where the table is a part of a sample that is judged
        elsewhere. By default the table is the sample, and is judged here.

    Returns
    -------
    `~astropy.table.QTable`
        See `PhotoZ.add_redshifts`, also for what is raised.
    """
    card = predictor.card
    found = open_rows(
        predictor, table, source, ra=ra, dec=dec, chunk=chunk, missing=missing
    )
    output = QTable(table, copy=True)
    if overwrite:
        remove_redshifts(output, prefix)
    bin_edges = card.bin_edges
    new = NewColumns(
        output,
        bin_edges,
        prefix=prefix,
        columns=columns,
        rng=rng,
        has_p_star=predictor.tells_stars,
        bands_used=found.bands_used,
    )
    new.flags[~found.good] |= int(found.flags)
    ebv = find_ebv(output, ebv)
    resolve_ebv(ebv, len(output), card.ebv_maps)  # raises now, not after an hour
    predictor.check_dihedral(dihedral)
    is_whole = domain is None
    if is_whole:
        domain = DomainWatch(card.reference, len(output))
    todo = found.good.copy()
    identity = {
        "model": card.name,
        "sha256": card.sha256,
        "dihedral": dihedral,
        "ebv": _identity_of(ebv),
        "source": found.place,
        "table": found.fingerprint,
    }
    n_band = len(found.bands) if found.finds_bands else 0
    n_value = card.n_bins + predictor.tells_stars + n_band
    n_value += 0 if card.reference is None else 1 + domain.n_component
    with _open_journal(resume, identity, n_value) as journal:
        finished = 0
        for rows, flags, values in journal.iter_blocks() if journal else ():
            if n_band:
                found.bands_used[rows] = values[:, -n_band:] > 0
            answer = _unpacked(predictor, flags, values[:, : n_value - n_band])
            new.fill(rows, answer.pdf, _own(answer))
            domain.add(rows, answer.components)
            todo[rows] = False
            finished += len(rows)
        if finished:
            log.info("%d of %d rows were finished before", finished, len(output))
        finished = 0
        with progress_bar(np.count_nonzero(todo), wanted=progress) as update:
            for rows, data, status in found.batches(np.flatnonzero(todo)):
                if data is None:
                    new.flags[rows] = status
                else:
                    prepared = predictor.prepare(data, select_ebv(ebv, rows))
                    answer = predictor.infer(prepared, dihedral=dihedral)
                    pdf = answer.pdf.add_flags(status) if status.any() else answer.pdf
                    new.fill(rows, pdf, _own(answer))
                    domain.add(rows, answer.components)
                    if journal:
                        final = (pdf.flags & int(Flag.FETCH_FAILED)) == 0
                        values = _packed(answer)
                        if n_band:
                            values = np.hstack([values, found.bands_used[rows]])
                        journal.append(rows[final], pdf.flags[final], values[final])
                finished += len(rows)
                update(finished)

    if is_whole:
        domain.flag(new.flags)
    for row in flag_counts(new.flags)[1:]:
        name, n = str(row["name"]), int(row["n"])
        log.info("%s: %d of %d rows. %s", name, n, len(output), Flag[name].summary)
    return new.attach(predictor.provenance(found.bands))


def _own(answer):
    """Numbers of an answer that do not follow from p(z)."""
    return {"ood_score": answer.ood_score, "p_star": answer.p_star}


def _packed(answer):
    """All of an answer that is kept for each row, (n, n_value) float32."""
    parts = [answer.probability]
    if answer.p_star is not None:
        parts.append(answer.p_star[:, None])
    if answer.components.shape[1]:
        parts += [answer.ood_score[:, None], answer.components]
    return np.hstack(parts).astype(np.float32)


def _unpacked(predictor, flags, values):
    """Take apart what `_packed` put together."""
    card = predictor.card
    probability, rest = values[:, : card.n_bins], values[:, card.n_bins :]
    pdf = RedshiftPDF.from_batch(card.bin_edges, probability, flags=flags)
    p_star = None
    if predictor.tells_stars:
        p_star, rest = rest[:, 0], rest[:, 1:]
    if card.reference is None:
        return Inference(pdf, np.full(len(values), np.nan), rest, p_star)
    return Inference(pdf, rest[:, 0], rest[:, 1:], p_star)


def _identity_of(ebv):
    """E(B-V) itself if that is one number, else a fingerprint."""
    if isinstance(ebv, Mapping):
        return {dust_map: _identity_of(values) for dust_map, values in ebv.items()}
    if ebv is None:
        return None
    return fingerprint([ebv]) if np.ndim(ebv) else str(ebv)


def _open_journal(path, identity, n_value):
    if path is None:
        return contextlib.nullcontext()
    return RowJournal(path, identity, n_value)
