"""`configure_zred`: free the redshift of a prospector model, with p(z) as prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mantis_astro import binned
from mantis_astro.pdf import RedshiftPDF
from mantis_astro.pdf.tables import as_densities
from mantis_astro.priors import RedshiftPrior
from mantis_astro.priors.double_counting import warn_of_double_counting
from mantis_astro.priors.requirements import require_prospector
from mantis_astro.prospector.fitted import fitted_filters

if TYPE_CHECKING:
    from astropy.table import Row

__all__ = ["as_prior", "configure_zred"]

# More of p(z) than this beyond the model's own range of zred is a mistake to report.
_MOST_LOST = 0.01


def as_prior(pdf, *, floor=None, temper=None, support=None):
    """
    Return the prior of a p(z), or the prior itself.

    Parameters
    ----------
    pdf : RedshiftPDF, RedshiftPrior or `~astropy.table.Row`
        Of one galaxy; or its row of the table that `PhotoZ.add_redshifts` gave.
    floor, temper, support : optional
        As for `RedshiftPDF.to_prior`, whose defaults hold; a prior has settled them.

    Returns
    -------
    RedshiftPrior
        The prior.

    Raises
    ------
    TypeError
        If it is something else, or options are given for what is a prior already.
    """
    options = {"floor": floor, "temper": temper, "support": support}
    options = {name: value for name, value in options.items() if value is not None}
    pdf = as_densities(pdf)
    if isinstance(pdf, RedshiftPDF):
        return pdf.to_prior(**options)
    if not isinstance(pdf, RedshiftPrior):
        msg = f"'pdf' must be a RedshiftPDF or a RedshiftPrior, got {type(pdf)}"
        raise TypeError(msg)
    if options:
        msg = (
            f"{', '.join(options)} cannot be given with a RedshiftPrior, which has its "
            "own: make another with pdf.to_prior()"
        )
        raise TypeError(msg)
    return pdf


def configure_zred(
    model_params: dict,
    pdf: RedshiftPDF | RedshiftPrior | Row,
    *,
    floor: float | None = None,
    temper: float | None = None,
    support: tuple[float, float] | None = None,
    obs: dict | list | None = None,
) -> tuple[dict, list[str]]:
    """
    Free the redshift of a prospector model, and put p(z) on it as its prior.

    Parameters
    ----------
    model_params : dict
        Parameters of a model, as `prospect.models.SpecModel` takes them. Not changed.
    pdf : RedshiftPDF, RedshiftPrior or `~astropy.table.Row`
        Of one galaxy; or its row of the table that `PhotoZ.add_redshifts` gave.
    floor : float, optional
        Share of the prior spread evenly over the support, so that data may overrule a
        p(z) that is wrong; by default 0.001. Not with a `RedshiftPrior`, which has its
        own.
    temper : float, optional
        Power, from 0 (flat) to 1 (full strength, the default), to which the density is
        raised: below 1 where the fit uses data that made p(z). Not with a
        `RedshiftPrior`.
    support : tuple of float, optional
        Lowest and highest redshift; by default the range of the prior that ``zred``
        had, as far as p(z) reaches. Not with a `RedshiftPrior`.
    obs : dict or list, optional
        The data that will be fitted, as `to_prospector_obs` makes them for prospector's
        ``fit_model``: says whether data that made p(z) come in twice.

    Returns
    -------
    new_params : dict
        ``zred`` is free with prior, initial value (the mode) and width of emcee's
        first ball of walkers; ``lumdist`` is gone, so that the distance follows the
        redshift; ``tage`` is a share, ``tage_tuniv``, of the age of the universe at
        ``zred``.
    changes : list of str
        What was changed and why, a sentence each; and what was left, but needs a look.

    Raises
    ------
    ImportError
        If prospector is not installed, or beside a dynesty that it cannot run.
    TypeError
        If ``model_params`` is not a dict, ``pdf`` not a p(z), an option is given with a
        `RedshiftPrior`, or the prior of a free ``tage`` is neither uniform nor
        log-uniform.
    ValueError
        If the redshift belongs to a joint prior (``NzSFH``, ``PhiSFH`` and the like),
        or more than 1 % of p(z) lies outside the range of the prior that ``zred`` had.

    Warns
    -----
    DoubleCountingWarning
        If the prior knows the bands that made it, is not tempered to 0.5 or less, and
        ``obs`` has data in them or is not given.

    Examples
    --------
    >>> from prospect.models.templates import TemplateLibrary
    >>> from mantis_astro import RedshiftPDF, configure_zred
    >>> pdf = RedshiftPDF([0, 0.2, 0.4, 0.6], [0.1, 0.8, 0.1])
    >>> new_params, changes = configure_zred(TemplateLibrary["parametric_sfh"], pdf)
    >>> new_params["zred"]["init"], new_params["zred"]["prior"].bounds()
    (0.3, (0.0, 0.6))
    >>> for change in changes:
    ...     print("*", change)
    * zred: free, with p(z) as prior (z = 0 to 0.6, floor 0.001), starting at 0.3
    * tage: a share 'tage_tuniv' (0.00007263 to 1, free) of the age of the universe at
    zred, because a galaxy is no older
    """
    if not isinstance(model_params, dict):
        msg = (
            "'model_params' must be a dict of parameters by name, as prospector's "
            f"TemplateLibrary has them, got {type(model_params)}"
        )
        raise TypeError(msg)
    require_prospector("models.priors")
    _refuse_joint_priors(model_params)
    changes: list[str] = []
    prior = as_prior(pdf, floor=floor, temper=temper, support=support)
    fitted = fitted_filters(obs)
    warn_of_double_counting(prior, fitted, how="obs=obs", stacklevel=2)
    if support is None:
        prior = _within_model(model_params, prior, changes)
    new_params = {name: dict(entry) for name, entry in model_params.items()}
    _free_zred(new_params, prior, changes)
    if new_params.pop("lumdist", None) is not None:
        changes.append("lumdist: removed, because the distance follows from zred")
    _tie_age(new_params, changes)
    _look_at_agebins(new_params, prior, changes)
    return new_params, changes


def _refuse_joint_priors(model_params):
    """Refuse priors over several parameters, redshift among them."""
    depends_on = model_params.get("zred", {}).get("depends_on")
    if depends_on is not None:
        msg = (
            f"zred follows from other parameters through '{depends_on.__name__}': its "
            "joint prior (NzSFH, PhiSFH and the like) has its own distribution of "
            "redshifts, and p(z) would come on top. Use a template whose zred stands "
            "alone, such as TemplateLibrary['alpha'] or ['continuity_sfh']"
        )
        raise ValueError(msg)
    for name, entry in model_params.items():
        prior = entry.get("prior")
        owned = [p for p in getattr(prior, "prior_params", ()) if p.startswith("zred")]
        if owned and name != "zred":
            msg = (
                f"the prior of '{name}', {type(prior).__name__}, is joint with "
                f"redshift ({', '.join(owned)}), and p(z) would come on top: give "
                f"'{name}' a prior without redshift"
            )
            raise ValueError(msg)


def _within_model(model_params, prior, changes):
    """Cut the prior at the range of the prior that it replaces."""
    old = model_params.get("zred", {}).get("prior")
    if old is None:
        return prior
    low, high = (float(np.ravel(end)[0]) for end in old.bounds())
    share = binned.overlap(prior.bin_edges, np.array([low, high]))
    inside = float((prior.core @ share)[0])
    if prior.has_data and 1 - inside > _MOST_LOST:
        msg = (
            f"{100 * (1 - inside):.2g} % of p(z) lies outside the model's range of "
            f"zred, {low:g} to {high:g}: widen model_params['zred']['prior'], or give "
            f"support=({low:g}, {high:g}) to use the rest"
        )
        raise ValueError(msg)
    first, last = prior.support
    low, high = max(low, first), min(high, last)
    if (low, high) == (first, last):
        return prior
    changes.append(
        f"p(z): cut to z = {low:g} to {high:g}, the range that zred had; this leaves "
        f"out {100 * (1 - inside):.2g} % of it"
    )
    return prior.with_support((low, high))


def _free_zred(params, prior, changes):
    zred = params.setdefault("zred", {"N": 1})
    if np.size(zred.get("init", 0.0)) != 1 or zred.get("N", 1) != 1:
        msg = f"'zred' must be one number, got N = {zred.get('N')}"
        raise ValueError(msg)
    zred.update(
        isfree=True,
        init=round(prior.mode(), 6),
        init_disp=prior.as_gaussian().std,
        prior=prior.as_prospector(),
    )
    low, high = prior.support
    temper = f", tempered {prior.temper:g}" if prior.temper < 1 else ""
    changes.append(
        f"zred: free, with p(z) as prior (z = {low:g} to {high:g}, floor "
        f"{prior.floor:g}{temper}), starting at {zred['init']:g}"
    )
    if not prior.has_data:
        changes.append(
            "zred: its p(z) was made of no data (NO_DATA), the prior is flat"
        )


def _tie_age(params, changes):
    """Make tage a share of the age of the universe at zred."""
    tage = params.get("tage")
    if tage is None or "tage_tuniv" in params:
        return
    if tage.get("depends_on") is not None:
        changes.append(
            f"tage: left to '{tage['depends_on'].__name__}'; see that it stays below "
            "the age of the universe at every zred"
        )
        return
    transforms = require_prospector("models.transforms")
    age_now = transforms.cosmo.age(0).value
    age = transforms.cosmo.age(params["zred"]["init"]).value
    share = float(np.clip(np.ravel(tage["init"])[0] / age, 0, 1))
    params["tage_tuniv"] = {"N": 1, "isfree": False, "init": share, "units": ""}
    how = f"{share:.4g}, fixed"
    if tage.get("isfree", False):
        prior = _share_of_age(tage.get("prior"), age_now)
        params["tage_tuniv"].update(isfree=True, prior=prior)
        low, high = prior.bounds()
        how = (
            f"{np.format_float_positional(low, 4, fractional=False)} to {high:g}, free"
        )
    tage.update(isfree=False, depends_on=transforms.tage_from_tuniv)
    tage.pop("prior", None)
    changes.append(
        f"tage: a share 'tage_tuniv' ({how}) of the age of the universe at zred, "
        "because a galaxy is no older"
    )


def _share_of_age(prior, age_now):
    """Convert the prior of an age, uniform or log-uniform, to that of its share."""
    priors = require_prospector("models.priors")
    if not isinstance(prior, priors.Uniform | priors.LogUniform):
        msg = (
            f"the prior of tage is {type(prior).__name__}: with zred free, tage must "
            "stay below the age of the universe, which is done for Uniform, TopHat and "
            "LogUniform; replace tage by 'tage_tuniv' with a prior of your own and "
            "depends_on=prospect.models.transforms.tage_from_tuniv"
        )
        raise TypeError(msg)
    low, high = (float(end) for end in prior.bounds())
    return type(prior)(mini=low / age_now, maxi=min(1.0, high / age_now))


def _look_at_agebins(params, prior, changes):
    """Describe the bins of a star formation history older than the universe."""
    agebins = params.get("agebins")
    if agebins is None or agebins.get("depends_on") is not None:
        return
    transforms = require_prospector("models.transforms")
    oldest = 10 ** np.max(agebins["init"]) / 1e9
    youngest_universe = transforms.cosmo.age(prior.support[1]).value
    if oldest > youngest_universe:
        changes.append(
            f"agebins: not changed, but they reach back {oldest:.1f} Gyr and the "
            f"universe at z = {prior.support[1]:g} is {youngest_universe:.1f} Gyr old; "
            "see prospect.models.transforms.zred_to_agebins"
        )
