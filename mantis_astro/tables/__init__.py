"""Tables: columns of positions, files of any format, and the journal of a run."""

from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.tables.files import check_writable, read_table, write_table

__all__ = ["check_writable", "find_coordinates", "read_table", "write_table"]
