"""
Binned densities from other descriptions of p(z), and to and from files.

Plain arrays on this side: ``bin_edges`` of shape ``(n_bins + 1,)`` and ``probability``
of shape ``(..., n_bins)``. `mantis_astro.pdf.RedshiftPDF` calls these functions.
"""

from mantis_astro.pdf_io.converters import (
    density_on_grid,
    edges_around,
    weights_from_gaussians,
    weights_from_grid,
    weights_from_quantiles,
    weights_from_samples,
)
from mantis_astro.pdf_io.ensembles import from_ensemble, to_ensemble
from mantis_astro.pdf_io.files import (
    PDFParts,
    parts_from_table,
    read_parts,
    write_parts,
)

__all__ = [
    "PDFParts",
    "density_on_grid",
    "edges_around",
    "from_ensemble",
    "parts_from_table",
    "read_parts",
    "to_ensemble",
    "weights_from_gaussians",
    "weights_from_grid",
    "weights_from_quantiles",
    "weights_from_samples",
    "write_parts",
]
