"""Registering a prior with bagpipes, which finds priors by the names of methods."""

from mantis_astro._optional import require

__all__ = ["register"]

# bagpipes reads its results back with str.replace of these words, then eval
_WORDS_THAT_BREAK = ("array", "float", "np.")


def register(prior, name):
    """
    Attach a prior to bagpipes' class of priors.

    Parameters
    ----------
    prior : RedshiftPrior
        The prior.
    name : str
        Name of the method; that of an earlier prior is replaced.

    Returns
    -------
    dict
        Entries of ``fit_instructions``.

    Raises
    ------
    ImportError
        If bagpipes is not installed.
    ValueError
        If the name is one of bagpipes' own or would break its result files.
    """
    bagpipes_prior = _import_quietly("bagpipes.fitting.prior").prior
    taken = getattr(bagpipes_prior, name, None)
    if taken is not None and not hasattr(taken, "redshift_prior"):
        msg = f"'name' {name!r} is taken by bagpipes itself: choose another"
        raise ValueError(msg)
    if not name.isidentifier() or any(word in name for word in _WORDS_THAT_BREAK):
        msg = (
            "'name' must be a Python identifier without the words 'array' and 'float', "
            f"which bagpipes replaces when it reads results back, got {name!r}"
        )
        raise ValueError(msg)

    def transform(self, value, limits, hyper_params):  # noqa: ARG001  its protocol
        return prior.as_unit_transform()(value)

    transform.redshift_prior = prior
    setattr(bagpipes_prior, name, transform)
    return {"redshift": prior.support, "redshift_prior": name}


def _import_quietly(module):
    """Import from bagpipes, which sets matplotlib up for its own plots on the way."""
    matplotlib = require("matplotlib", extra="bagpipes")
    with matplotlib.rc_context():
        return require(module, extra="bagpipes")
