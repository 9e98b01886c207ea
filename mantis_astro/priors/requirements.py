"""Prospector, imported only where it can run."""

import os
from importlib import metadata

from mantis_astro._optional import require

__all__ = ["require_prospector"]

_SPS_HOME = (
    "set the environment variable SPS_HOME to the folder of FSPS, whose stars "
    "prospector needs: see https://dfm.io/python-fsps/current/installation/"
)


def require_prospector(module):
    """
    Import a module of prospector, or raise an error on how to install it.

    Parameters
    ----------
    module : str
        Name below ``prospect``, e.g. ``"models.priors"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If prospector is not installed, or version 1 beside dynesty 3: each step of
        its sampler now returns more values than prospector 1.4 unpacks. Or if it
        cannot find FSPS, which version 2 looks for at its import.
    """
    try:
        prospector = metadata.version("astro-prospector")
        dynesty = metadata.version("dynesty")
    except metadata.PackageNotFoundError:  # the import below tells; emcee may do
        return _import(module)
    if int(prospector.partition(".")[0]) < 2 <= int(dynesty.partition(".")[0]) - 1:
        msg = (
            f"astro-prospector {prospector} cannot run dynesty {dynesty}: a step of "
            "its sampler returns more values than prospector unpacks ('too many values "
            "to unpack', after the fit has started); install the version before: "
            'pip install "dynesty>=2.1,<3"'
        )
        raise ImportError(msg, name="dynesty")
    return _import(module)


def _import(module):
    try:
        return require(f"prospect.{module}", extra="prospector")
    except (KeyError, RuntimeError, TypeError) as error:
        if os.environ.get("SPS_HOME"):
            raise
        msg = (
            f"prospector cannot be imported ({type(error).__name__}: {error}): "
            f"{_SPS_HOME}"
        )
        raise ImportError(msg, name="prospect") from error
    except ImportError as error:
        if error.name in {"prospect", "fsps"}:
            msg = f"{error}; and {_SPS_HOME}"
            raise ImportError(msg, name=error.name) from None
        raise
