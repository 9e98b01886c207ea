"""Results as files, made in memory."""

from __future__ import annotations

import io
import json
import pprint
import textwrap
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from mantis_astro._optional import require
from mantis_astro.flags import decode_flags
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf_io import to_ensemble
from mantis_astro.tables.memory import write_bytes

if TYPE_CHECKING:
    from mantis_astro.web.work import Result

__all__ = ["KINDS", "Download", "Kind", "make_download"]

Kind = Literal["ecsv", "fits", "qp", "prospector"]
KINDS = get_args(Kind)

_SNIPPET = '''\
"""
Redshift prior for prospector, from p(z) of the model {model}.

The galaxy is called {name}.
Flags: {flags}
"""

from prospect.models.templates import TemplateLibrary

from mantis_astro import RedshiftPDF, configure_zred

BIN_EDGES = [
{edges}
]
PROBABILITY = [
{probability}
]
META = {meta}

pdf = RedshiftPDF(BIN_EDGES, PROBABILITY, flags={value}, meta=META)

# Data that made p(z), in the bands that META lists, count twice if they are fitted
# again: a 'temper' of 0.5 or less makes up for that; 1 is right for other data.
# 'support' is all of p(z): narrow it to the redshifts that your model is made for.
model_params, changes = configure_zred(
    TemplateLibrary["parametric_sfh"],
    pdf,
    temper=0.5,
    support=(BIN_EDGES[0], BIN_EDGES[-1]),
)
print(*changes, sep="\\n")
'''


class Download(NamedTuple):
    """
    A file.

    Attributes
    ----------
    name : str
        What to call it.
    media_type : str
        What it is.
    content : bytes
        All of it.
    """

    name: str
    media_type: str
    content: bytes


def make_download(kind: Kind, result: Result, row: int) -> Download:
    """
    Make a file of a result.

    Parameters
    ----------
    kind : {"ecsv", "fits", "qp", "prospector"}
        A table, densities as qp reads them, or Python for a fit.
    result : Result
        The result.
    row : int
        Which galaxy, for prospector.

    Returns
    -------
    Download
        The file.

    Raises
    ------
    ValueError
        If the format cannot hold the table.
    ImportError
        If qp is not installed.
    """
    if kind == "ecsv":
        content = write_bytes(result.table, "ascii.ecsv")
        return Download("redshifts.ecsv", "text/plain; charset=utf-8", content)
    if kind == "fits":
        content = write_bytes(result.table, "fits")
        return Download("redshifts.fits", "application/fits", content)
    if kind == "qp":
        return Download("pdf.hdf5", "application/x-hdf5", _as_qp(result))
    content = _snippet(result, row).encode()
    return Download("prospector_prior.py", "text/x-python; charset=utf-8", content)


def _as_qp(result):
    """HDF5 as qp.read reads it: a group each for meta, data and ancillary columns."""
    pdf = RedshiftPDF.from_table(result.table)
    ancil = {"flags": pdf.flags}
    ensemble = to_ensemble(pdf.bin_edges, pdf.probability, kind="hist", ancil=ancil)
    buffer = io.BytesIO()
    with require("h5py", extra="qp").File(buffer, "w") as file:
        for group, columns in ensemble.build_tables().items():
            for name, values in columns.items():
                file.create_dataset(f"{group}/{name}", data=values)
    return buffer.getvalue()


def _snippet(result, row):
    """Write a self-contained Python program, with text of the user as literals."""
    pdf = RedshiftPDF.from_table(result.table[row])
    meta = {
        key: value
        for key, value in pdf.meta.items()
        if key.startswith("PZ") and isinstance(value, str | float)
    }
    if (used := pdf.bands_used) is not None:
        bands = meta["PZBANDS"].split(", ")
        bands = [band for band, is_used in zip(bands, used, strict=True) if is_used]
        meta["PZBANDS"] = ", ".join(bands)
    flags = int(pdf.flags)
    return _SNIPPET.format(
        model=result.photoz.card.name,
        name=_harmless(result.names[row]),
        flags=", ".join(decode_flags(flags)) or "none",
        edges=_wrapped(pdf.bin_edges),
        probability=_wrapped(pdf.probability),
        value=flags,
        meta=pprint.pformat(meta, sort_dicts=False),
    )


def _harmless(name):
    """Escape a name so that it cannot end a string."""
    return json.dumps(name).replace("\\", "/").replace('"', "'")


def _wrapped(numbers):
    text = ", ".join(map(repr, numbers.astype(float).tolist()))
    return textwrap.fill(
        f"{text},", 88, initial_indent="    ", subsequent_indent="    "
    )
