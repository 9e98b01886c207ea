"""Cross-fitted recalibration: each part of a sample by a fit to the others."""

import copy

import numpy as np

from mantis_astro.pdf import RedshiftPDF

__all__ = ["out_of_fold"]


def out_of_fold(
    recalibrator,
    pdf,
    z_spec,
    *,
    features=None,
    sample_weight=None,
    groups=None,
    n_folds=5,
    rng=0,
):
    """
    Recalibrate every galaxy by a fit that has not seen it.

    For judging a recalibration where there is one sample with true redshifts, not two.

    Parameters
    ----------
    recalibrator : Recalibrator
        What to fit on each part; itself left as it is.
    pdf : RedshiftPDF
        Densities, shape (n,).
    z_spec : array_like or `~astropy.units.Quantity`
        True redshifts, shape (n,); NaN or masked where there is none: such a galaxy is
        recalibrated too.
    features : array_like, optional
        Properties for `LocalRecalibration`, shape (n,) or (n, n_property).
    sample_weight : array_like, optional
        Weight of each galaxy in the fits, shape (n,).
    groups : array_like, optional
        Galaxies of one group are never on both sides, shape (n,): pixels of the sky,
        say, as neighbours share more than chance.
    n_folds : int, optional
        Number of parts.
    rng : int or `~numpy.random.Generator`, optional
        Seed of the parts.

    Returns
    -------
    RedshiftPDF
        Shape (n,), in the order given.

    Raises
    ------
    ValueError
        If shapes do not match, there are fewer groups than folds, or too few galaxies
        for a fit.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro import RedshiftPDF
    >>> from mantis_astro.calibration import TemperatureScaling, out_of_fold
    >>> rng = np.random.default_rng(1)
    >>> centre = rng.uniform(0.3, 0.7, 1000)
    >>> pdf = RedshiftPDF.from_gaussians(np.linspace(0, 1, 201), centre, 0.02)
    >>> after = out_of_fold(TemperatureScaling(), pdf, rng.normal(centre, 0.04))
    >>> round(float(np.mean(after.std())), 2)
    0.04
    """
    n = len(pdf)
    given = {"z_spec": z_spec, "sample_weight": sample_weight, "groups": groups}
    arrays = {k: np.ma.asanyarray(v) for k, v in given.items() if v is not None}
    if features is not None:
        arrays["features"] = np.ma.asanyarray(features)
    for name, values in arrays.items():
        if values.shape[:1] != (n,):
            msg = f"'{name}' must have {n} rows, as 'pdf', got shape {values.shape}"
            raise ValueError(msg)
    groups = np.asarray(arrays.pop("groups", np.arange(n)))
    names, member = np.unique(groups, return_inverse=True)
    if not 2 <= n_folds <= len(names):
        msg = (
            f"'n_folds' must be from 2 to the number of galaxies or groups, "
            f"{len(names)}, got {n_folds}"
        )
        raise ValueError(msg)
    fold = np.random.default_rng(rng).permutation(np.arange(len(names)) % n_folds)
    fold = fold[member]
    parts, rows = [], []
    for k in range(n_folds):
        out = np.flatnonzero(fold == k)
        others = {name: values[fold != k] for name, values in arrays.items()}
        fitted = copy.deepcopy(recalibrator).fit(pdf[fold != k], **others)
        more = {"features": arrays["features"][out]} if "features" in arrays else {}
        parts.append(fitted.transform(pdf[out], **more))
        rows.append(out)
    order = np.argsort(np.concatenate(rows))
    joined = RedshiftPDF.concatenate(parts)[order]
    joined.meta = {**parts[0].meta}
    return joined
