"""Kernels as objects that add and multiply, each with a finite feature map."""

import numbers

import torch

from mantis_astro.kernels.inputs import as_tensor

__all__ = ["Kernel", "Linear", "Product", "Scaled", "Sum", "with_bias"]


class Kernel:
    """
    A positive semidefinite function of two samples, ``K(x, y) = phi(x) @ phi(y)``.

    A subclass gives `features`; one that can do without gives `gram` too. Kernels add
    and multiply, with each other and with positive numbers.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.kernels import Linear
    >>> x = torch.tensor([[1.0], [2.0]])
    >>> (2 * Linear() * Linear() + Linear()).gram(x)  # 2 (1 + x y)^2 + 1 + x y
    tensor([[10., 21.],
            [21., 55.]])
    """

    def features(self, x):
        """
        Feature vectors, so that ``features(x) @ features(y).T == gram(x, y)``.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            The samples, first axis n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_feature).
        """
        msg = f"{type(self).__name__} must define 'features'"
        raise NotImplementedError(msg)

    def gram(self, x, y=None):
        """
        Gram matrix of samples, or cross-Gram matrix of two sets.

        Parameters
        ----------
        x, y : tensor, array, or tuple or mapping of such
            The samples, first axes n and m; ``y`` is ``x`` by default.

        Returns
        -------
        `torch.Tensor`
            Shape (n, m).
        """
        left = self.features(x)
        right = left if y is None else self.features(y)
        return left @ right.T

    def __add__(self, other):
        return Sum(self, other) if isinstance(other, Kernel) else NotImplemented

    def __radd__(self, other):
        # sum() begins with 0
        return self if _is_number(other) and other == 0 else NotImplemented

    def __mul__(self, other):
        if isinstance(other, Kernel):
            return Product(self, other)
        return Scaled(self, other) if _is_number(other) else NotImplemented

    __rmul__ = __mul__


class Sum(Kernel):
    """
    Sum of two kernels: their features side by side.

    Parameters
    ----------
    first, second : Kernel
        The kernels.
    """

    def __init__(self, first, second):
        self.first, self.second = first, second

    def features(self, x):
        """
        Features of the first kernel, then of the second.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            The samples, first axis n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_feature).
        """
        return torch.cat([self.first.features(x), self.second.features(x)], 1)

    def gram(self, x, y=None):
        """
        Sum of the two Gram matrices.

        Parameters
        ----------
        x, y : tensor, array, or tuple or mapping of such
            The samples, first axes n and m; ``y`` is ``x`` by default.

        Returns
        -------
        `torch.Tensor`
            Shape (n, m).
        """
        return self.first.gram(x, y) + self.second.gram(x, y)


class Product(Kernel):
    """
    Product of two kernels: their features times each other, each with each.

    Parameters
    ----------
    first, second : Kernel
        The kernels.
    """

    def __init__(self, first, second):
        self.first, self.second = first, second

    def features(self, x):
        """
        Features times features, as many as the product of their numbers.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            The samples, first axis n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_feature).
        """
        a, b = self.first.features(x), self.second.features(x)
        return (a[:, :, None] * b[:, None, :]).flatten(1)  # (n, n_first * n_second)

    def gram(self, x, y=None):
        """
        Product of the two Gram matrices, entry by entry.

        Parameters
        ----------
        x, y : tensor, array, or tuple or mapping of such
            The samples, first axes n and m; ``y`` is ``x`` by default.

        Returns
        -------
        `torch.Tensor`
            Shape (n, m).
        """
        return self.first.gram(x, y) * self.second.gram(x, y)


class Scaled(Kernel):
    """
    A kernel times a number.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    scale : float
        Not negative.

    Raises
    ------
    ValueError
        If the scale is negative or not finite.
    """

    def __init__(self, kernel, scale):
        if not 0 <= scale < float("inf"):
            msg = f"the scale of a kernel must not be negative, got {scale}"
            raise ValueError(msg)
        self.kernel, self.scale = kernel, float(scale)

    def features(self, x):
        """
        Features times the root of the scale.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            The samples, first axis n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_feature).
        """
        return self.kernel.features(x) * self.scale**0.5

    def gram(self, x, y=None):
        """
        Gram matrix times the scale.

        Parameters
        ----------
        x, y : tensor, array, or tuple or mapping of such
            The samples, first axes n and m; ``y`` is ``x`` by default.

        Returns
        -------
        `torch.Tensor`
            Shape (n, m).
        """
        return self.kernel.gram(x, y) * self.scale


class Linear(Kernel):
    """
    ``x @ y + 1``: the samples themselves are the features, with a 1 behind.

    Also what a kernel of features computed before is: ``Linear().gram(features)``.
    """

    def features(self, x):
        """
        Flatten the samples to vectors, and put a 1 behind.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            The samples, first axis n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_feature).
        """
        x = as_tensor(x)
        if x.is_complex():
            msg = (
                f"'x' must be real numbers, got {x.dtype}: give real and imaginary "
                "parts as columns of their own, torch.view_as_real(x)"
            )
            raise ValueError(msg)
        kept = torch.float32, torch.float64
        x = x if x.dtype in kept else x.to(torch.get_default_dtype())
        return with_bias(x.flatten(1))


def with_bias(features):
    """
    Append a feature of 1.

    Parameters
    ----------
    features : `torch.Tensor`
        Shape (n, n_feature).

    Returns
    -------
    `torch.Tensor`
        Shape (n, n_feature + 1).
    """
    return torch.cat([features, features.new_ones(len(features), 1)], 1)


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
