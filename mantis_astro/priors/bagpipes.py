"""Registration of priors with bagpipes, which finds them by the names of methods."""

from mantis_astro._optional import require

__all__ = ["bagpipes_catalogue", "register"]

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


def bagpipes_catalogue(priors, load_data, *, name="redshift_by_galaxy"):
    """
    Assign each galaxy of ``bagpipes.fit_catalogue`` its own prior.

    ``fit_catalogue`` has one set of instructions, and so the name of one prior, for all
    galaxies. It loads a galaxy just before it fits it: so the prior is that of the
    galaxy that was loaded last.

    Parameters
    ----------
    priors : mapping of str or int to RedshiftPrior
        By ID, as ``fit_catalogue`` takes them.
    load_data : callable
        What ``fit_catalogue`` is to load galaxies with: takes an ID.
    name : str, optional
        What bagpipes shall call the prior.

    Returns
    -------
    instructions : dict
        ``redshift``, from the lowest to the highest of all priors, and
        ``redshift_prior``, for ``fit_instructions.update(...)``.
    load_data : callable
        To give to ``fit_catalogue`` instead of the one passed.

    Raises
    ------
    ImportError
        If bagpipes is not installed.
    ValueError
        If there is no prior, or bagpipes cannot use the name.

    Examples
    --------
    >>> from mantis_astro.priors import bagpipes_catalogue
    >>> priors = {one_id: pdf.to_prior() for one_id, pdf in ...}  # doctest: +SKIP
    >>> entries, load = bagpipes_catalogue(priors, load_data)  # doctest: +SKIP
    >>> fit_instructions.update(entries)  # doctest: +SKIP
    >>> bagpipes.fit_catalogue(ids, fit_instructions, load)  # doctest: +SKIP
    """
    chosen = _PriorOfCatalogue(priors, load_data)
    return register(chosen, name), chosen.load_data


class _PriorOfCatalogue:
    """The prior of the galaxy that was loaded last."""

    def __init__(self, priors, load_data):
        self._priors = {str(one_id): prior for one_id, prior in priors.items()}
        if not self._priors:
            msg = "'priors' must hold a prior for each galaxy, got none"
            raise ValueError(msg)
        self._load_data, self._current = load_data, None

    @property
    def support(self):
        """Lowest and highest redshift of all priors."""
        lows, highs = zip(*(p.support for p in self._priors.values()), strict=True)
        return min(lows), max(highs)

    def load_data(self, one_id):
        """Load a galaxy for bagpipes."""
        self._current = None  # none, if it has none or loading fails
        if str(one_id) not in self._priors:
            msg = f"no prior for galaxy {one_id!r} among {len(self._priors)}"
            raise KeyError(msg)
        data = self._load_data(one_id)
        self._current = self._priors[str(one_id)]
        return data

    def as_unit_transform(self):
        """Transform of the galaxy that was loaded last."""
        if self._current is None:
            msg = (
                "no galaxy was loaded: give fit_catalogue the 'load_data' that "
                "bagpipes_catalogue returned"
            )
            raise ValueError(msg)
        return self._current.as_unit_transform()
