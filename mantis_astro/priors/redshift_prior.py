"""`RedshiftPrior`: a prior from a binned p(z), and its exports to other codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mantis_astro import binned
from mantis_astro._optional import require
from mantis_astro.priors.density import TabulatedDensity
from mantis_astro.priors.double_counting import (
    sedpy_names,
    warn_of_double_counting,
)

if TYPE_CHECKING:
    import qp
    import torch
    from numpy.typing import ArrayLike

    from mantis_astro.bands import BandLike
    from mantis_astro.priors.gaussian import GaussianApproximation
    from mantis_astro.priors.prospector_prior import TabulatedRedshiftPrior
    from mantis_astro.priors.samplers.bilby_prior import BilbyRedshift
    from mantis_astro.priors.samplers.jax_density import JaxDensity
    from mantis_astro.priors.samplers.numpyro_distribution import NumpyroRedshift
    from mantis_astro.priors.samplers.pyro_distribution import PyroRedshift
    from mantis_astro.priors.samplers.torch_distribution import TorchRedshift

__all__ = ["RedshiftPrior"]

# Less of p(z) than this within the support is noise, not to be blown up to a prior.
_LEAST_MASS = 1e-3
_HOW = "bands=[...] of the fit"  # how the guard against double counting is told


class RedshiftPrior(TabulatedDensity):
    """
    Redshift prior with a density that is constant within bins.

    p(z) is tempered, cut or extended to the support, and mixed with a floor, in this
    order. What the methods return agrees to rounding: the density is the derivative of
    ``cdf``, and ``ppf`` its inverse. Arguments and results are plain numbers.

    Parameters
    ----------
    bin_edges : array_like or `~astropy.units.Quantity`
        Edges of the bins in redshift, shape ``(n_bins + 1,)``: finite, increasing, not
        below 0.
    probability : array_like
        Probability of each bin, shape ``(n_bins,)``; divided by its sum.
    floor : float, optional
        Share of the prior, from 0 to 1, that is spread evenly over the support, so
        that data may overrule a p(z) that is wrong. 0 for none.
    temper : float, optional
        Power, from 0 (flat) to 1 (full strength), to which the *density* is raised:
        ``(probability / width)**temper * width``, normalised.
    support : tuple of float, optional
        Lowest and highest redshift; by default the ends of the bins. p(z) outside is
        dropped; where the support goes beyond the bins only the floor is left.
    bands : iterable of str or Band, optional
        Bands of the data that p(z) was made from, if known.
    model : str, optional
        Name of the model that made p(z), if known.
    n_of_z : str, optional
        The n(z) that p(z) carries, in words, if known.
    has_data : bool, optional
        Whether p(z) says anything: not if it is flagged ``NO_DATA``.

    Raises
    ------
    ValueError
        If bins, probabilities or options are not as said, or less than 0.1 % of p(z)
        lies within the support.

    See Also
    --------
    mantis_astro.pdf.RedshiftPDF.to_prior : make one from a galaxy's p(z).

    Examples
    --------
    >>> from mantis_astro import RedshiftPrior
    >>> prior = RedshiftPrior([0, 1, 2], [0.9, 0.1], floor=0.5)
    >>> prior
    <RedshiftPrior z = 0 to 2, median 0.7143: 2 bins, floor 0.5>
    >>> prior.probability
    array([0.7, 0.3])
    >>> prior.cdf([0.5, 1, 2])
    array([0.35, 0.7 , 1.  ])
    >>> prior.ppf([0.35, 0.85])
    array([0.5, 1.5])

    Tempering flattens the density, not the probability of bins of different width:

    >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0, temper=0.5).probability
    array([0.33333333, 0.66666667])
    """

    def __init__(
        self,
        bin_edges: ArrayLike,
        probability: ArrayLike,
        *,
        floor: float = 1e-3,
        temper: float = 1.0,
        support: tuple[float, float] | None = None,
        bands: Iterable[BandLike] | None = None,
        model: str | None = None,
        n_of_z: str | None = None,
        has_data: bool = True,
    ) -> None:
        _check_share("floor", floor)
        _check_share("temper", temper)
        edges, core = _as_row(bin_edges, probability)
        core = _temper(edges, core, temper)
        if support is not None:
            edges, core = _fit_to_support(edges, core, support)
        uniform = np.diff(edges) / (edges[-1] - edges[0])
        super().__init__(edges, (1 - floor) * core + floor * uniform)
        core.flags.writeable = False
        self._core = core
        self.floor = float(floor)
        self.temper = float(temper)
        self.bands = None if bands is None else tuple(map(str, bands))
        self.model = model
        self.n_of_z = n_of_z
        self.has_data = bool(has_data)

    @property
    def core(self) -> TabulatedDensity:
        """Probability of each bin before the floor, shape ``(n_bins,)``; read-only."""
        return self._core

    def with_support(self, support: tuple[float, float]) -> RedshiftPrior:
        """
        Cut or extend; tempering and floor, as a share, stay as they are.

        Parameters
        ----------
        support : tuple of float
            Lowest and highest redshift.

        Returns
        -------
        RedshiftPrior
            A new one.

        Raises
        ------
        ValueError
            If less than 0.1 % of p(z) lies within.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 2], [1, 3], floor=0).with_support((0.5, 2)).core
        array([0.14285714, 0.85714286])
        """
        prior = RedshiftPrior(
            self._bin_edges,
            self._core,
            floor=self.floor,
            support=support,
            bands=self.bands,
            model=self.model,
            n_of_z=self.n_of_z,
            has_data=self.has_data,
        )
        prior.temper = self.temper  # done already
        return prior

    def as_prospector(self) -> TabulatedRedshiftPrior:
        """
        Create a prior of prospector.

        Returns
        -------
        `~mantis_astro.priors.prospector_prior.TabulatedRedshiftPrior`
            A `prospect.models.priors.Prior` to put at ``model_params["zred"]["prior"]``
            (`~mantis_astro.configure_zred` does that and what else is needed, and looks
            for data that count twice); it can be pickled, as prospector's result files
            need.

        Raises
        ------
        ImportError
            If prospector is not installed, or beside a dynesty that it cannot run.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> prior = RedshiftPrior([0, 1, 2], [0.5, 0.5]).as_prospector()
        >>> prior.unit_transform([0.25, 0.5]), prior.bounds()
        (array([0.5, 1. ]), (0.0, 2.0))
        """
        from mantis_astro.priors.prospector_prior import TabulatedRedshiftPrior

        return TabulatedRedshiftPrior(redshift_prior=self)

    def as_bagpipes(
        self, name: str, *, bands: Iterable[BandLike] | None = None
    ) -> dict:
        """
        Register as a prior of bagpipes.

        Parameters
        ----------
        name : str
            What bagpipes shall call it: one name for each galaxy, e.g. its ID.
        bands : iterable of Band or str, optional
            Bands that will be fitted: says whether data that made p(z) come in twice.

        Returns
        -------
        dict
            ``redshift`` and ``redshift_prior``, for ``fit_instructions.update(...)``.

        Raises
        ------
        ImportError
            If bagpipes is not installed.
        ValueError
            If bagpipes cannot use the name.

        Warns
        -----
        DoubleCountingWarning
            If the prior knows the bands that made it, is not tempered to 0.5 or less,
            and some of them are fitted or ``bands`` is not given.

        Notes
        -----
        bagpipes writes only the name to its result file: in a new session, register
        the prior again before the results are loaded.

        ``bagpipes.fit_catalogue`` has one set of instructions for all galaxies, and so
        one prior: see `bagpipes_catalogue`.
        """
        from mantis_astro.priors.bagpipes import register

        warn_of_double_counting(self, sedpy_names(bands), how=_HOW, stacklevel=2)
        return register(self, name)

    def as_eazy(
        self, zgrid: ArrayLike, *, bands: Iterable[BandLike] | None = None
    ) -> np.ndarray:
        """
        Logarithm of the density on eazy's grid.

        Parameters
        ----------
        zgrid : array_like
            Increasing redshifts, shape ``(n_z,)``: ``ez.zgrid``.
        bands : iterable of Band or str, optional
            Bands that will be fitted: says whether data that made p(z) come in twice.

        Returns
        -------
        ndarray
            Shape ``(n_z,)``, a row of ``ez.extra_lnp`` (`eazy_table` makes them all):
            the density averaged over the cell around each point, so that a peak
            between the points of a coarse grid is not lost; ``-inf`` outside the
            support.

        Raises
        ------
        ValueError
            If the grid does not increase.

        Warns
        -----
        DoubleCountingWarning
            As for `as_bagpipes`.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).as_eazy([0.5, 1.5, 2.5])
        array([-0.69314718, -2.07944154, -2.07944154])
        """
        warn_of_double_counting(self, sedpy_names(bands), how=_HOW, stacklevel=2)
        zgrid = binned.as_redshift(zgrid)
        if zgrid.ndim != 1 or zgrid.size < 2 or not np.all(np.diff(zgrid) > 0):
            msg = f"'zgrid' must be one-dimensional and increase, got {zgrid}"
            raise ValueError(msg)
        ends = np.concatenate([zgrid[:1], (zgrid[1:] + zgrid[:-1]) / 2, zgrid[-1:]])
        with np.errstate(divide="ignore"):
            return np.log(np.diff(self.cdf(ends)) / np.diff(ends))

    def as_scipy(self) -> Any:
        """
        Create a frozen distribution of scipy, for example for nautilus.

        Returns
        -------
        `scipy.stats.rv_continuous` (frozen)
            The same density.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).as_scipy().mean().item()
        1.75
        """
        from scipy.stats import rv_histogram

        table = self._probability, self._bin_edges
        return rv_histogram(table, density=False).freeze()

    def as_unit_transform(self) -> Callable[[ArrayLike], ArrayLike]:
        """
        Transform from the unit interval, for dynesty, nautilus or ultranest.

        Returns
        -------
        callable
            Takes numbers from 0 to 1, returns redshifts; it can be pickled.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> to_redshift = RedshiftPrior([0, 1, 5], [1, 1], floor=0).as_unit_transform()
        >>> def prior_transform(cube):
        ...     return [to_redshift(cube[0]), 8 + 4 * cube[1]]  # z, log10 of mass
        >>> print(*prior_transform([0.25, 0.5]))
        0.5 10.0
        """
        return self._from_unit

    def as_jax(self) -> JaxDensity:
        """
        Make functions that JAX traces and differentiates, for blackjax or DSPS.

        Returns
        -------
        `~mantis_astro.priors.samplers.jax_density.JaxDensity`
            ``log_pdf``, ``cdf``, ``ppf`` and ``sample(key, shape)`` of this density, in
            float64 if ``jax_enable_x64`` is set; ``jax.jit``, ``jax.vmap`` and
            ``jax.grad`` go through all. The derivative of ``log_pdf`` is that of a line
            through the centres of neighbouring bins: within a bin it would be 0, which
            leads no sampler. Samplers that accept by the value, as all Hamiltonian ones
            do, have the exact density nonetheless.

        Raises
        ------
        ImportError
            If JAX is not installed.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> prior = RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0)
        >>> jax.grad(prior.as_jax().cdf)(3.0)  # doctest: +SKIP
        Array(0.125, dtype=float32, weak_type=True)
        """
        from mantis_astro.priors.samplers.jax_density import make_jax_density

        return make_jax_density(self)

    def as_numpyro(self) -> NumpyroRedshift:
        """
        Make a distribution of numpyro: ``z = numpyro.sample("z", prior.as_numpyro())``.

        Returns
        -------
        `~mantis_astro.priors.samplers.numpyro_distribution.NumpyroRedshift`
            The density of `as_jax`.

        Raises
        ------
        ImportError
            If JAX or numpyro is not installed.
        """
        from mantis_astro.priors.samplers.numpyro_distribution import NumpyroRedshift

        return NumpyroRedshift(self.as_jax())

    def as_torch(self, *, dtype: torch.dtype | None = None) -> TorchRedshift:
        """
        Make a distribution of torch, for sbi or a loss of your own.

        Parameters
        ----------
        dtype : `torch.dtype`, optional
            By default torch's own, mostly float32.

        Returns
        -------
        `~mantis_astro.priors.samplers.torch_distribution.TorchRedshift`
            A `torch.distributions.Distribution` with ``log_prob``, ``cdf``, ``icdf``
            and ``rsample``; ``.expand((1,))`` for sbi's ``MultipleIndependent``.
            Derivatives are those of `as_jax`.

        Examples
        --------
        >>> import torch
        >>> from mantis_astro import RedshiftPrior
        >>> prior = RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).as_torch()
        >>> prior.icdf(torch.tensor([0.25, 0.75])), prior.mean
        (tensor([0.5000, 3.0000]), tensor(1.7500))
        """
        from mantis_astro.priors.samplers.torch_distribution import TorchRedshift

        return TorchRedshift(self, dtype=dtype)

    def as_pyro(self) -> PyroRedshift:
        """
        Make a distribution of pyro: ``z = pyro.sample("z", prior.as_pyro())``.

        Returns
        -------
        `~mantis_astro.priors.samplers.pyro_distribution.PyroRedshift`
            That of `as_torch`, with what pyro needs.

        Raises
        ------
        ImportError
            If pyro is not installed.
        """
        from mantis_astro.priors.samplers.pyro_distribution import PyroRedshift

        return PyroRedshift(self)

    def as_pymc(self, name: str = "redshift") -> Any:
        """
        Add a redshift to the model of PyMC that is being built.

        Parameters
        ----------
        name : str, optional
            What the model shall call it.

        Returns
        -------
        variable
            The redshift, a function of a uniform variable ``<name>_u``.

        Raises
        ------
        ImportError
            If PyMC is not installed.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> prior = RedshiftPrior([0, 1, 5], [0.5, 0.5])
        >>> with pymc.Model():  # doctest: +SKIP
        ...     z = prior.as_pymc("zred")
        """
        from mantis_astro.priors.samplers.pymc_variable import make_pymc_variable

        return make_pymc_variable(self, name)

    def as_bilby(
        self,
        name: str = "redshift",
        *,
        latex_label: str = "$z$",
        unit: str | None = None,
        boundary: str | None = None,
    ) -> BilbyRedshift:
        """
        Make a prior of bilby.

        Parameters
        ----------
        name : str, optional
            Of the parameter.
        latex_label, unit, boundary : str, optional
            As for all of bilby's priors.

        Returns
        -------
        `~mantis_astro.priors.samplers.bilby_prior.BilbyRedshift`
            The same density; bilby's result files keep it.

        Raises
        ------
        ImportError
            If bilby is not installed.
        """
        from mantis_astro.priors.samplers.bilby_prior import BilbyRedshift

        return BilbyRedshift(
            self._bin_edges,
            self._probability,
            name=name,
            latex_label=latex_label,
            unit=unit,
            boundary=boundary,
        )

    def as_gaussian(self) -> GaussianApproximation:
        """
        Approximate by a Gaussian, and measure the difference.

        Returns
        -------
        `GaussianApproximation`
            ``mean`` and ``std`` of the prior without its floor, which would widen it
            out of proportion, and ``misfit``, from 0 to 1: the share of probability
            that the Gaussian, cut to the support, puts in the wrong place.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> two_peaks = RedshiftPrior([0, 0.1, 0.9, 1], [0.5, 0, 0.5])
        >>> print(f"{two_peaks.as_gaussian().misfit:.2f}")
        0.85
        """
        from mantis_astro.priors.gaussian import approximate

        return approximate(self._bin_edges, self._core)

    def as_quantiles(self, quantiles: ArrayLike | None = None) -> np.ndarray:
        """
        Redshifts at given quantiles.

        Parameters
        ----------
        quantiles : array_like, optional
            Probabilities from 0 to 1, shape ``(n_q,)``; by default 0, 0.1, ..., 1. For
            ``n`` grid nodes of equal weight, ``(np.arange(n) + 0.5) / n``.

        Returns
        -------
        ndarray
            Shape ``(n_q,)``.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).as_quantiles([0.25, 0.75])
        array([0.5, 3. ])
        """
        return self.ppf(np.linspace(0, 1, 11) if quantiles is None else quantiles)

    def to_qp(self) -> qp.Ensemble:
        """
        Convert to an ensemble of the package qp.

        Returns
        -------
        `qp.Ensemble`
            One histogram: the same density.

        Raises
        ------
        ImportError
            If qp is not installed.

        Examples
        --------
        >>> from mantis_astro import RedshiftPrior
        >>> RedshiftPrior([0, 1, 5], [0.5, 0.5], floor=0).to_qp()
        Ensemble(the_class=hist,shape=(1, 2))
        """
        qp = require("qp", extra="qp")
        density = self._probability / np.diff(self._bin_edges)
        data = {"bins": self._bin_edges, "pdfs": density[None]}
        return qp.Ensemble(qp.hist, data=data)

    def __repr__(self):
        low, high = self.support
        temper = f", tempered {self.temper:g}" if self.temper < 1 else ""
        nothing = "" if self.has_data else ", made of no data"
        return (
            f"<{type(self).__name__} z = {low:g} to {high:g}, median "
            f"{self._from_unit(0.5):.4g}: {len(self._probability)} bins, "
            f"floor {self.floor:g}{temper}{nothing}>"
        )


def _check_share(name, value):
    if not 0 <= value <= 1:
        msg = f"'{name}' must be between 0 and 1, got {value}"
        raise ValueError(msg)


def _as_row(bin_edges, probability):
    """Check bins and one row of probability; float64, sum 1."""
    edges = binned.validate_bin_edges(bin_edges)
    values = binned.as_redshift(probability)
    if values.shape != (len(edges) - 1,):
        msg = (
            f"'probability' must have a value for each of the {len(edges) - 1} bins, "
            f"got shape {values.shape}; a prior belongs to one galaxy"
        )
        raise ValueError(msg)
    row, good = binned.normalize(edges, values)
    if not good:
        faults = values[~(np.isfinite(values) & (values >= 0))]
        msg = (
            "'probability' must be finite, not negative and not all zero, got "
            f"{faults[0] if faults.size else 'only zeros'}"
        )
        raise ValueError(msg)
    return edges, row / row.sum()


def _temper(edges, probability, temper):
    widths = np.diff(edges)
    weights = (probability / widths) ** temper * widths
    return weights / weights.sum()


def _fit_to_support(edges, probability, support):
    """Cut the bins at the support, or add empty ones that reach it."""
    low, high = ends = binned.validate_bin_edges(support, name="support")[[0, -1]]
    inner = edges[(edges > low) & (edges < high)]
    new_edges = np.concatenate([[low], inner, [high]])
    weights = probability @ binned.overlap(edges, new_edges)
    if weights.sum() < _LEAST_MASS:
        msg = (
            f"'support' {tuple(map(float, ends))} holds {weights.sum():.2g} of p(z), "
            f"which spans z = {edges[0]:g} to {edges[-1]:g}: give a support that holds "
            "its peak"
        )
        raise ValueError(msg)
    return new_edges, weights / weights.sum()
