"""`ReferenceStatistics`: compact statistics of a training set."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mantis_astro.binned import multiply_rows, true_redshift
from mantis_astro.exceptions import InputSpecError
from mantis_astro.shift.expected_error import ExpectedError
from mantis_astro.shift.features import as_features, check_same, drop_duplicates
from mantis_astro.shift.neighbours import Neighbours
from mantis_astro.shift.scores import ledoit_wolf, mahalanobis_distance
from mantis_astro.shift.support import DISTANCES, Support, measure_support

__all__ = ["ReferenceStatistics"]

_LEVELS = (0.01, 0.05, 0.16, 0.25, 0.5, 0.75, 0.84, 0.95, 0.99)
_N_COMPONENT = 16
_FEWEST = 10
_MOST = 50_000  # objects that statistics are made from


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceStatistics:
    """
    Statistics of the features of a reference sample, such as a training set.

    Made by `from_features`; stored in a file of weights with the model whose features
    they are. Arrays are on the scale ``(feature - mean) / scale``, except ``mean`` and
    ``scale`` themselves and ``quantiles``.

    Attributes
    ----------
    mean, scale : `~numpy.ndarray`
        Mean and standard deviation of each feature, shape (d,).
    covariance : `~numpy.ndarray`
        Shrunk covariance of the scaled features, shape (d, d), float32; see
        `ledoit_wolf`.
    quantiles : `~numpy.ndarray`
        1, 5, 16, 25, 50, 75, 84, 95 and 99 % of each feature, shape (9, d).
    vectors : `~numpy.ndarray`
        Scaled features of some objects, shape (n_vector, d), float16.
    score_quantiles : `~numpy.ndarray`
        The quantiles 0, 0.01, ..., 1 of ``ood_score`` in the reference, shape (101,).
    z_range : `~numpy.ndarray`
        Smallest and largest redshift, shape (2,); NaN where none were given.
    names : tuple of str
        Names of the features.
    n_object : int
        Number of objects that the statistics are made from.
    support : Support
        What ``ood_score`` is made from, and its thresholds.
    vector_z : `~numpy.ndarray` or None
        Redshifts of these objects, shape (n_vector,), float32; None if not known.
    sample : str
        What the reference is.
    encoder : str
        SHA-256 of the weights that made the features; empty if that is not known.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.shift import ReferenceStatistics
    >>> rng = np.random.default_rng(0)
    >>> reference = ReferenceStatistics.from_features(rng.normal(size=(3000, 4)), rng=1)
    >>> reference
    <ReferenceStatistics of 3000 objects, 4 features, 2000 vectors kept>
    >>> reference.ood_score([[0.1, 0, 0, 0], [9, 0, 0, 0]]) > 1
    array([False,  True])
    """

    mean: np.ndarray
    scale: np.ndarray
    covariance: np.ndarray
    quantiles: np.ndarray
    vectors: np.ndarray
    score_quantiles: np.ndarray
    z_range: np.ndarray
    names: tuple
    n_object: int
    support: Support
    vector_z: np.ndarray | None = None
    sample: str = ""
    encoder: str = ""

    @classmethod
    def from_features(
        cls,
        features,
        *,
        rng,
        z_spec=None,
        n_vector=2000,
        distance="neighbours",
        sample="",
        encoder="",
    ):
        """
        Summarise a sample.

        Parameters
        ----------
        features : array_like or `~astropy.table.Table`
            Shape (n, d), at least ten objects; rows with missing values are left out.
            Objects of every kind that the model is to be trusted with belong in it,
            those without GALEX too. Objects that the network was not fitted to (its
            validation set) give the fairer threshold.
        rng : int or `~numpy.random.Generator`
            Chooses the vectors that are kept; of more than 50,000 objects also those
            that the other statistics are made from.
        z_spec : array_like, optional
            Redshifts, shape (n,): ``ood_score`` then sees, too, where neighbours
            disagree about the redshift. Rows without one are left out.
        n_vector : int, optional
            How many vectors to keep: 2 d bytes each.
        distance : str, optional
            What the score of an object is made from: ``"neighbours"``, the nearest
            vectors, which holds for samples of several clumps, or ``"mahalanobis"``,
            the distance from the mean alone.
        sample : str, optional
            What the reference is, in a few words.
        encoder : str, optional
            SHA-256 of the weights that made the features.

        Returns
        -------
        ReferenceStatistics
            The summary.

        Raises
        ------
        ValueError
            If there are fewer than ten complete rows, or an argument does not fit.
        """
        values, names = as_features(features)
        if distance not in DISTANCES:
            msg = f"'distance' must be one of {', '.join(DISTANCES)}, got {distance!r}"
            raise ValueError(msg)
        z = _redshifts(z_spec, len(values))
        complete = np.isfinite(values).all(1) & (np.isfinite(z) | (z_spec is None))
        if complete.sum() < _FEWEST or n_vector < _FEWEST:
            what = "all features" if z_spec is None else "all features and a redshift"
            msg = (
                f"a reference needs {_FEWEST} objects with {what}, and as many "
                f"vectors; got {complete.sum()} of {len(values)}, n_vector={n_vector}"
            )
            raise ValueError(msg)
        values, z = values[complete], z[complete]
        z_range = np.array([z.min(), z.max()])
        rng = np.random.default_rng(rng)
        n_object = len(values)
        if n_object > _MOST:
            chosen = np.sort(rng.choice(n_object, _MOST, replace=False))
            values, z = values[chosen], z[chosen]
        mean, scale = values.mean(0), _scale(values)
        scaled = (values - mean) / scale
        rows = drop_duplicates(scaled)  # a twin among the vectors is at distance 0
        if len(rows) < _FEWEST:
            msg = f"a reference needs {_FEWEST} different objects, got {len(rows)}"
            raise ValueError(msg)
        rows = rng.permutation(rows)
        # As they will be read: threshold and score must see the same rounding.
        vectors = _halved(scaled[rows[:n_vector]])
        z = None if z_spec is None else z[rows].astype(np.float32)
        support, scores = measure_support(scaled[rows], z, vectors, distance)
        return cls(
            mean=mean,
            scale=scale,
            covariance=ledoit_wolf(scaled)[0].astype(np.float32),
            quantiles=np.quantile(values, _LEVELS, axis=0).astype(np.float32),
            vectors=vectors,
            score_quantiles=np.quantile(scores, np.linspace(0, 1, 101)),
            z_range=z_range,
            names=names,
            n_object=n_object,
            support=support,
            vector_z=None if z is None else z[: len(vectors)],
            sample=sample,
            encoder=encoder,
        )

    def __repr__(self):
        return (
            f"<{type(self).__name__} of {self.n_object} objects, {len(self.names)} "
            f"features, {len(self.vectors)} vectors kept>"
        )

    @property
    def nbytes(self):
        """Bytes that the arrays take in a file."""
        return sum(array.nbytes for array in self.to_arrays()[0].values())

    def ood_score(self, features):
        """
        Score how little the reference supports a redshift of each object.

        Parameters
        ----------
        features : array_like or `~astropy.table.Table`
            Shape (n, d), made as those of the reference were.

        Returns
        -------
        `~numpy.ndarray`
            Shape (n,): above 1 is what one in a hundred of the reference is. The larger
            of two ratios: the distance to the 5 nearest vectors, and the
            `expected_error` of a redshift, over what 99.7 and 99.3 % of the reference
            stay below. Without redshifts, the distance alone, over that of 99 %. NaN
            where a feature is missing.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if these are not the features of
            the reference.
        """
        if self.support.distance == "mahalanobis":
            return self._where_complete(features, self._mahalanobis_score)
        return self._where_complete(
            features, lambda scaled: self.support.score(self._neighbours(scaled))
        )

    def expected_error(self, features):
        """
        Estimate the error of the redshift from nearby objects of the reference.

        Parameters
        ----------
        features : array_like or `~astropy.table.Table`
            Shape (n, d), made as those of the reference were.

        Returns
        -------
        `~numpy.ndarray`
            Mean of ``|delta z| / (1 + z)`` of a redshift that is read off the 10
            nearest vectors, shape (n,): it grows where their redshifts disagree and
            where they are far. Calibrated within the reference; a guess outside. NaN
            where a feature is missing.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if these are not the features of
            the reference, or it has no redshifts to tell from.

        Examples
        --------
        >>> import numpy as np
        >>> from mantis_astro.shift import ReferenceStatistics
        >>> rng = np.random.default_rng(0)
        >>> z = rng.uniform(0, 1, 2000)
        >>> colour = np.where(z < 0.5, z, 1 - z)[:, None]  # red and blue side alike
        >>> reference = ReferenceStatistics.from_features(colour, rng=1, z_spec=z)
        >>> clear, ambiguous = reference.expected_error([[0.49], [0.05]])
        >>> bool(ambiguous > 5 * clear)
        True
        """
        if self.support.error is None:
            msg = (
                "this reference has no redshifts to expect errors from (at least 50, "
                "not all alike): make it with 'z_spec'"
            )
            raise InputSpecError(msg)
        return self._where_complete(
            features, lambda scaled: self.support.error(self._neighbours(scaled))
        )

    @cached_property
    def own_expected_error(self):
        """`expected_error` of the vectors, each left out once; shape (n_vector,)."""
        return self.support.error(self._neighbours.left_out())

    def _where_complete(self, features, function):
        scaled = self.scaled(features)
        complete = np.isfinite(scaled).all(1)
        found = np.full(len(scaled), np.nan)
        if complete.any():
            found[complete] = function(scaled[complete])
        return found

    def scaled(self, features):
        """
        Scale features by the scatter of the reference.

        Parameters
        ----------
        features : array_like or `~astropy.table.Table`
            Shape (n, d).

        Returns
        -------
        `~numpy.ndarray`
            ``(features - mean) / scale``, shape (n, d), float64.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if these are not the features of
            the reference.
        """
        if isinstance(features, np.ndarray) and features.shape[:1] == (0,):
            return np.empty((0, len(self.names)))
        values, names = as_features(features)
        check_same(names, self.names)
        return (values - self.mean) / self.scale

    def rounded(self, features):
        """
        Round features as those of the vectors that are kept are.

        Parameters
        ----------
        features : array_like or `~astropy.table.Table`
            Shape (n, d).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n, d): a classifier cannot tell them from the vectors by the digits.
        """
        scaled = _halved(self.scaled(features))
        return scaled.astype(float) * self.scale + self.mean

    def components(self, features):
        """
        Project features on the principal directions of the reference.

        Parameters
        ----------
        features : array_like
            Shape (n, d).

        Returns
        -------
        `~numpy.ndarray`
            At most 16 components of unit variance, shape (n, n_component), float32.
        """
        scaled = _halved(self.scaled(features)).astype(float)  # as the vectors are
        return multiply_rows(scaled, self._basis).astype(np.float32)

    @property
    def n_component(self):
        """Length of a row of `components`."""
        return min(_N_COMPONENT, len(self.names))

    @cached_property
    def sample_features(self):
        """Features of the objects that are kept, shape (n_vector, d), float64."""
        return self.vectors.astype(float) * self.scale + self.mean

    def to_arrays(self):
        """
        Take apart for a file.

        Returns
        -------
        arrays : dict of str to `~numpy.ndarray`
            The arrays by name.
        facts : dict
            The rest, which JSON can hold.
        """
        arrays = {
            name: np.ascontiguousarray(value)
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
            and name not in ("sample_features", "own_expected_error")
            and not name.startswith("_")
        }
        facts = {
            name: getattr(self, name) for name in ("n_object", "sample", "encoder")
        }
        return arrays, {"names": list(self.names), **facts, **self.support._asdict()}

    @classmethod
    def from_arrays(cls, arrays, facts):
        """
        Create statistics from the output of `to_arrays`.

        Parameters
        ----------
        arrays : dict of str to `~numpy.ndarray`
            The arrays by name.
        facts : dict
            The rest.

        Returns
        -------
        ReferenceStatistics
            The summary.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if something is missing or of
            another shape.
        """
        facts = dict(facts)
        try:
            support = {
                name: facts.pop(name) for name in Support._fields if name in facts
            }
            if support.get("error") is not None:
                support["error"] = ExpectedError(*support["error"])
            facts |= {"names": tuple(facts["names"]), "support": Support(**support)}
            statistics = cls(**arrays, **facts)
        except (KeyError, TypeError) as error:
            msg = f"these are no reference statistics: {error}"
            raise InputSpecError(msg) from error
        d = len(statistics.names)
        shapes = {name: array.shape for name, array in arrays.items()}
        if {(d,), shapes["mean"], shapes["scale"]} != {(d,)} or (
            shapes["covariance"] != (d, d) or shapes["vectors"][1:] != (d,)
        ):
            msg = f"reference statistics of {d} features do not fit: {shapes}"
            raise InputSpecError(msg)
        for name in ("mean", "scale", "covariance", "vectors"):  # redshifts may be NaN
            array = arrays[name]
            if np.isnan(array).any() or (name == "scale" and not (array > 0).all()):
                msg = f"reference statistics: '{name}' holds NaN or is not positive"
                raise InputSpecError(msg)
        return statistics

    @cached_property
    def _neighbours(self):
        return Neighbours(self.vectors, self.vector_z)

    def _mahalanobis_score(self, scaled):
        distance = mahalanobis_distance(scaled, 0, self.covariance)
        return distance / self.support.threshold

    @cached_property
    def _basis(self):
        variance, axes = np.linalg.eigh(self.covariance.astype(float))
        axes = axes[:, ::-1][:, : self.n_component]
        variance = variance[::-1][: self.n_component]
        axes = axes * np.where(axes.sum(0) < 0, -1, 1)  # the sign is arbitrary
        return axes / np.sqrt(np.maximum(variance, 1e-12))


def _redshifts(z_spec, n):
    """Redshifts as floats, NaN where there are none."""
    if z_spec is None:
        return np.full(n, np.nan)
    z = true_redshift(z_spec)
    if z.shape != (n,):
        msg = f"'z_spec' must have shape ({n},), got {z.shape}"
        raise ValueError(msg)
    return z


def _scale(values):
    """Return standard deviations; a constant feature has that of a typical one."""
    scale = values.std(0)
    varies = scale > 1e-9 * np.abs(values).max(0)
    scale[~varies] = np.median(scale[varies]) if varies.any() else 1.0
    return scale


def _halved(scaled):
    return np.clip(scaled, -6e4, 6e4).astype(np.float16)
