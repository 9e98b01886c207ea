"""The former name of `mantis_astro.tables`, for programs that import it."""

from mantis_astro.tables import check_writable, read_table, write_table

__all__ = ["check_writable", "read_table", "write_table"]
