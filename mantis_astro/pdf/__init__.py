"""Redshift probability densities: `RedshiftPDF`, array-like over galaxies."""

from mantis_astro.pdf.distribution import redshift_distribution
from mantis_astro.pdf.redshift_pdf import RedshiftPDF
from mantis_astro.pdf.summaries import Peaks

__all__ = ["Peaks", "RedshiftPDF", "redshift_distribution"]
