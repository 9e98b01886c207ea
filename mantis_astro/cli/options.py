"""What commands share: exit codes, arguments of tables, and small readings of them."""

DONE, ERROR, INCOMPLETE, INTERRUPTED = 0, 1, 3, 130


def add_table_arguments(sub):
    """Add the table of galaxies and the names of its coordinates."""
    sub.add_argument("table", help="table of galaxies; - reads standard input")
    sub.add_argument("--ra", help="column of right ascension, or of sky coordinates")
    sub.add_argument("--dec", help="column of declination")


def split(text):
    """Split a list that is separated by commas."""
    return [part.strip() for part in text.split(",")]


def check_columns(table, *names):
    """Raise KeyError, naming the columns there are, if a name is not there."""
    for name in names:
        if name not in table.colnames:
            msg = f"no column '{name}'; there are {', '.join(table.colnames)}"
            raise KeyError(msg)


def number_or_name(text):
    """Read a number if it is one, else leave the name of a column."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return text
