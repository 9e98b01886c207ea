"""Answers in JSON, with all digits of their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mantis_astro.flags import FLAG_TABLE
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf.columns import OUTPUT_COLUMNS

if TYPE_CHECKING:
    from astropy.table import QTable

    from mantis_astro.models import ModelCard
    from mantis_astro.photoz import PhotoZ
    from mantis_astro.web.jobs import Job
    from mantis_astro.web.pictures import Picture
    from mantis_astro.web.work import Result

__all__ = [
    "ESTIMATES",
    "describe_card",
    "describe_flags",
    "describe_galaxy",
    "describe_job",
    "describe_model",
    "describe_pictures",
    "describe_rows",
]

_OF_CARD = (
    *("name", "description", "training_sample", "training_prior", "performance"),
    *("caveats", "licence", "sha256", "placeholder"),
)
_OTHERWISE = "flags", "pz", "bands_used"

#: Columns that are one number for each galaxy.
ESTIMATES = tuple(d for d in OUTPUT_COLUMNS if d.name not in _OTHERWISE)


def _number(value):
    """Make a number of Python; None where it is masked or not finite."""
    if np.ma.is_masked(value):
        return None
    value = np.asarray(value).item()
    return value if np.isfinite(value) else None


def describe_flags(value: int) -> list[dict[str, Any]]:
    """
    Describe a value of flags.

    Parameters
    ----------
    value : int
        Bits.

    Returns
    -------
    list of dict
        ``name`` and ``sentence`` of each bit that is set.

    Examples
    --------
    >>> from mantis_astro.web.answers import describe_flags
    >>> describe_flags(1)[0]["name"]
    'NO_DATA'
    """
    return [
        {"name": flag.name, "sentence": flag.description}
        for flag in FLAG_TABLE
        if int(value) >> flag.bit & 1
    ]


def describe_rows(table: QTable, names: list[str], start: int = 0) -> list[dict]:
    """
    Make a summary of each row.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        As `PhotoZ.add_redshifts` gives it.
    names : list of str
        What to call the rows.
    start : int, optional
        Number of the first row.

    Returns
    -------
    list of dict
        ``row``, ``id``, the estimates, and flags in words; no p(z).
    """
    columns = [d.name for d in ESTIMATES if d.name in table.colnames]
    return [
        {
            "row": start + i,
            "id": name,
            **{column: _number(table[column][i]) for column in columns},
            "flags": int(table["flags"][i]),
            "flag_words": describe_flags(table["flags"][i]),
        }
        for i, name in enumerate(names)
    ]


def describe_galaxy(table: QTable, name: str, row: int) -> dict[str, Any]:
    """
    Describe one row completely.

    Parameters
    ----------
    table : `~astropy.table.QTable`
        As `PhotoZ.add_redshifts` gives it.
    name : str
        What to call the row.
    row : int
        Its number.

    Returns
    -------
    dict
        The summary, ``p_z``: the probability of each redshift bin, where it is highest
        (``hpd68`` and ``hpd95``, lists of pairs), and ``bands_used``.
    """
    one = table[row : row + 1]
    (answer,) = describe_rows(one, [name], row)
    pdf = RedshiftPDF.from_table(table[row])
    return {
        **answer,
        "bands_used": _bands_used(one),
        "hpd68": np.asarray(pdf.hpd_regions(0.68)).tolist(),
        "hpd95": np.asarray(pdf.hpd_regions(0.95)).tolist(),
        "p_z": pdf.probability.tolist(),
    }


def _bands_used(one):
    bands = one.meta["PZBANDS"].split(", ")
    if "bands_used" in one.colnames:
        used = np.asarray(one["bands_used"][0])
        return [band for band, is_used in zip(bands, used, strict=True) if is_used]
    return bands


def describe_model(photoz: PhotoZ) -> dict[str, Any]:
    """
    Describe the model of an answer, and the bins of its p(z).

    Parameters
    ----------
    photoz : PhotoZ
        The model.

    Returns
    -------
    dict
        ``model``, ``sha256``, ``bin_edges`` and ``citations``.
    """
    card = photoz.card
    return {
        "model": card.name,
        "sha256": card.sha256,
        "bin_edges": card.bin_edges.tolist(),
        "citations": photoz.citations(),
    }


def describe_card(card: ModelCard) -> dict[str, Any]:
    """
    Describe a model.

    Parameters
    ----------
    card : ModelCard
        Its card.

    Returns
    -------
    dict
        What people read of it; no weights.
    """
    return {
        **{name: getattr(card, name) for name in _OF_CARD},
        "reads": "fluxes" if card.is_photometric else "images",
        "bands": list(map(str, card.bands)),
        "bin_edges": card.bin_edges.tolist(),
        "citations": list(card.citations),
    }


def describe_job(job: Job, before: int) -> dict[str, Any]:
    """
    Describe the progress of a job.

    Parameters
    ----------
    job : Job
        The job.
    before : int
        How many are before it.

    Returns
    -------
    dict
        State, progress and words.
    """
    state = job.state  # first: a state that is reached has all else in place
    result: Result | None = job.result if state == "done" else None
    message = job.message
    if state == "waiting" and before:
        message = f"waits for {before} earlier job{'s'[: before != 1]}"
    return {
        "id": job.id,
        "title": job.title,
        "state": state,
        "message": message,
        "done": job.done,
        "total": job.total,
        "before": before if state == "waiting" else 0,
        "rows": len(result.table) if result else 0,
        "model": result.photoz.card.name if result else None,
        "notes": result.notes if result else [],
    }


def describe_pictures(pictures: list[Picture], address: str) -> list[dict[str, Any]]:
    """
    List the cutouts.

    Parameters
    ----------
    pictures : list of Picture
        Of one galaxy.
    address : str
        Address that the name of a band follows.

    Returns
    -------
    list of dict
        A band each, with its address or why there is none.
    """
    return [
        {
            "band": picture.band,
            "title": picture.title,
            "state": picture.state,
            "message": picture.message,
            "side_arcsec": round(picture.side, 2),
            "url": f"{address}{picture.band}.png" if picture.png else None,
        }
        for picture in pictures
    ]
