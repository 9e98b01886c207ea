"""
Losses of logits of redshift bins, one number for each galaxy.

All three are proper scores: their mean is lowest for the true p(z). They are exact for
densities that are constant within bins, and agree with `mantis_astro.metrics`. The
cross entropy may spread each redshift over neighbouring bins (`smooth_targets`): its
mean is then lowest for the true p(z), smoothed as much. Another loss is a function of
``(logits, bins, z, z_edges)`` that `register_loss` gives a name.
"""

import torch
from torch.nn import functional

from mantis_astro.exceptions import InputSpecError

__all__ = [
    "RedshiftLoss",
    "cde_loss",
    "check_losses",
    "cross_entropy",
    "crps_loss",
    "register_loss",
    "smooth_targets",
    "star_loss",
]

_BUILT_IN = ("cross_entropy", "crps", "cde")
_registered: dict = {}


def register_loss(name, loss):
    """
    Register a loss by a name, to be weighted in ``LossConfig(other=...)``.

    Parameters
    ----------
    name : str
        Its name.
    loss : callable
        ``loss(logits, bins, z, z_edges)`` returns one number for each galaxy, shape
        (n_object,), from logits of shape (n_object, n_bins), the bin of the true
        redshift (int64), the true redshift (float32) and the edges of the bins.

    Returns
    -------
    callable
        The same loss.

    Raises
    ------
    ValueError
        If the name is taken.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.training import LossConfig, register_loss
    >>> def brier(logits, bins, z, z_edges):
    ...     p = torch.softmax(logits, 1)
    ...     return (p * p).sum(1) - 2 * p.gather(1, bins[:, None])[:, 0]
    >>> _ = register_loss("example-brier", brier)
    >>> LossConfig(cross_entropy=1.0, other={"example-brier": 0.1}).other
    {'example-brier': 0.1}
    """
    if _registered.get(name, loss) is not loss or name in _BUILT_IN:
        msg = f"the loss {name!r} is already registered"
        raise ValueError(msg)
    _registered[name] = loss
    return loss


def check_losses(names):
    """
    Refuse names that belong to no registered loss.

    Parameters
    ----------
    names : iterable of str
        Names.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` naming the first one.
    """
    for name in names:
        if name not in _registered:
            there = ", ".join(sorted(_registered)) or "none"
            msg = f"no loss {name!r} is registered (register_loss); there are {there}"
            raise InputSpecError(msg)


def smooth_targets(z, z_edges, width):
    """
    Share of each bin in a Gaussian around the true redshift.

    Neighbouring bins then learn from the same galaxy, and a density learnt from few
    galaxies has no comb of single bins in it.

    Parameters
    ----------
    z : `torch.Tensor`
        True redshifts, inside the bins, shape (n_object,).
    z_edges : `torch.Tensor`
        Edges of the redshift bins, shape (n_bins + 1,).
    width : float
        Standard deviation of the Gaussian in ln(1 + z).

    Returns
    -------
    `torch.Tensor`
        Shape (n_object, n_bins), float32; each row sums to 1.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.training.optimization.losses import smooth_targets
    >>> edges = torch.linspace(0, 0.05, 6, dtype=torch.float64)
    >>> smooth_targets(torch.tensor([0.025]), edges, 0.008).round(decimals=2)
    tensor([[0.0300, 0.2400, 0.4600, 0.2400, 0.0300]])
    """
    offset = torch.log1p(z_edges) - torch.log1p(z.to(z_edges.dtype))[:, None]
    share = torch.special.ndtr(offset / width).diff(dim=1)
    return (share / share.sum(1, keepdim=True)).float()


def cross_entropy(logits, target, *, label_smoothing=0.0):
    """
    Minus the logarithm of the probability of the bin of the truth.

    Parameters
    ----------
    logits : `torch.Tensor`
        Shape (n_object, n_bins).
    target : `torch.Tensor`
        Bin of the true redshift, shape (n_object,), int64; or the share of each bin in
        it, shape (n_object, n_bins), see `smooth_targets`: the loss is then the mean
        over bins.
    label_smoothing : float, optional
        Share of the target that is spread over all bins.

    Returns
    -------
    `torch.Tensor`
        Shape (n_object,).
    """
    return functional.cross_entropy(
        logits, target, reduction="none", label_smoothing=label_smoothing
    )


def crps_loss(logits, bins, z, z_edges):
    """
    Continuous ranked probability score, in units of redshift.

    Parameters
    ----------
    logits : `torch.Tensor`
        Shape (n_object, n_bins).
    bins : `torch.Tensor`
        Bin of the true redshift, shape (n_object,), int64.
    z : `torch.Tensor`
        True redshifts, inside the bins, shape (n_object,).
    z_edges : `torch.Tensor`
        Edges of the bins, shape (n_bins + 1,).

    Returns
    -------
    `torch.Tensor`
        Shape (n_object,), exact for densities that are constant within bins.

    References
    ----------
    Gneiting & Raftery 2007, JASA 102, 359, section 4.2.
    """
    width = z_edges.diff()
    p = torch.softmax(logits, 1)
    high = p.cumsum(1)
    low = high - p
    squared = (low * low + low * high + high * high) @ (width / 3)  # int F^2
    upper = functional.pad((low + high) * (width / 2), (0, 1)).flip(1)
    above = upper.cumsum(1).flip(1)  # int F from each edge upward
    at = bins[:, None]
    low_t, p_t = low.gather(1, at)[:, 0], p.gather(1, at)[:, 0]
    rest = (z_edges[bins + 1] - z) / width[bins]  # of the bin, above the truth
    mean = low_t + p_t * (1 - rest / 2)  # F there
    area = above.gather(1, at + 1)[:, 0] + mean * rest * width[bins]
    return squared + (z_edges[-1] - z) - 2 * area


def cde_loss(logits, bins, z_edges):
    """
    Conditional density estimation loss, ``int f^2 dz - 2 f(z)``.

    Parameters
    ----------
    logits : `torch.Tensor`
        Shape (n_object, n_bins).
    bins : `torch.Tensor`
        Bin of the true redshift, shape (n_object,), int64.
    z_edges : `torch.Tensor`
        Edges of the bins, shape (n_bins + 1,).

    Returns
    -------
    `torch.Tensor`
        Shape (n_object,), with densities per unit redshift.

    References
    ----------
    Izbicki & Lee 2017, Electron. J. Statist. 11, 2800, equation 7.
    """
    width = z_edges.diff()
    p = torch.softmax(logits, 1)
    at_truth = p.gather(1, bins[:, None])[:, 0] / width[bins]
    return (p * p) @ (1 / width) - 2 * at_truth


def star_loss(logit, star):
    """
    Cross entropy of whether objects are stars.

    Parameters
    ----------
    logit : `torch.Tensor`
        Of the probability of a star, shape (n_object,).
    star : `torch.Tensor`
        Whether it is one, shape (n_object,), bool.

    Returns
    -------
    `torch.Tensor`
        Shape (n_object,).
    """
    return functional.binary_cross_entropy_with_logits(
        logit.float(), star.float(), reduction="none"
    )


class RedshiftLoss:
    """
    Weighted sum of the losses of a configuration.

    Parameters
    ----------
    config : LossConfig
        Weights.
    z_edges : sequence of float
        Edges of the redshift bins.
    device : `torch.device` or str, optional
        Where logits are.
    """

    def __init__(self, config, z_edges, device="cpu"):
        self.config = config
        self.z_edges = torch.tensor(z_edges, dtype=torch.float64, device=device)

    def __call__(self, logits, z):
        """
        Score logits.

        Parameters
        ----------
        logits : `torch.Tensor`
            Shape (n_object, n_bins).
        z : `torch.Tensor`
            True redshifts, shape (n_object,), float64.

        Returns
        -------
        `torch.Tensor`
            Shape (n_object,).

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if a redshift is not inside the
            bins.
        """
        bins = torch.searchsorted(self.z_edges, z, right=True) - 1
        n_bins = len(self.z_edges) - 1
        bins = torch.where(z == self.z_edges[-1], n_bins - 1, bins)
        outside = ~((bins >= 0) & (bins < n_bins))  # NaN is sorted behind all
        if outside.any():
            low, high = self.z_edges[0].item(), self.z_edges[-1].item()
            msg = f"'z' must be within {low:g} to {high:g}, got {z[outside][0].item()}"
            raise InputSpecError(msg)
        logits, edges = logits.float(), self.z_edges.float()
        config, total = self.config, 0.0
        if config.cross_entropy:
            target = bins
            if config.target_width:
                target = smooth_targets(z, self.z_edges, config.target_width)
            smooth = config.label_smoothing
            loss = cross_entropy(logits, target, label_smoothing=smooth)
            total = total + config.cross_entropy * loss
        if config.crps:
            total = total + config.crps * crps_loss(logits, bins, z.float(), edges)
        if config.cde:
            total = total + config.cde * cde_loss(logits, bins, edges)
        for name, weight in config.other.items():
            loss = _registered[name](logits, bins, z.float(), edges)
            total = total + weight * loss
        return total
