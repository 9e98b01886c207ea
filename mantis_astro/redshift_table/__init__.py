"""Redshift columns on a table: streaming, resumable, nothing of the table lost."""

from mantis_astro.redshift_table.addition import add_redshifts
from mantis_astro.redshift_table.features import table_features
from mantis_astro.redshift_table.one_object import redshift_at

__all__ = ["add_redshifts", "redshift_at", "table_features"]
