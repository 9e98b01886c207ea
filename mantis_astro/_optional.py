"""Imports of optional packages, with a message that says how to install them."""

import importlib

__all__ = ["require"]


def require(module, *, extra):
    """
    Import an optional package, or raise an error that names its extra.

    Parameters
    ----------
    module : str
        Name to import, e.g. ``"matplotlib.pyplot"``.
    extra : str
        Extra of this package that installs it, e.g. ``"plot"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the package is not installed.

    Examples
    --------
    >>> from mantis_astro._optional import require
    >>> require("json", extra="plot").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is there; something that it needs is not
        msg = (
            f"'{package}' is needed here; install it with: "
            f'pip install "mantis-astro[{extra}]"'
        )
        raise ImportError(msg, name=package) from None
