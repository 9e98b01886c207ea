"""A kernel of few features from any kernel: the Nyström approximation."""

import torch

from mantis_astro.kernels.base import Kernel

__all__ = ["Nystrom"]


class Nystrom(Kernel):
    """
    Kernel seen through a few landmarks, ``K(x, L) K(L, L)^+ K(L, y)``.

    Exact between the landmarks, and below the kernel elsewhere (the difference is
    positive semidefinite).

    Parameters
    ----------
    kernel : Kernel
        The kernel; only its ``gram`` is used.
    landmarks : tensor, array, or tuple or mapping of such
        The landmarks, n_landmark of them: samples such as will be asked about.
    rcond : float, optional
        Eigenvalues of their Gram matrix below this share of the largest are left out;
        by default n_landmark times the rounding of the kernel's precision.

    Notes
    -----
    Williams & Seeger 2001 (NIPS 13). For `EmpiricalNTK` the cost is n_landmark instead
    of n gradients to compare each sample with, and none has to be kept.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.kernels import Linear, Nystrom
    >>> x = torch.arange(6.0)[:, None]
    >>> few = Nystrom(Linear(), x[[0, 5]])  # 1 + x y has two features: two are enough
    >>> few.features(x).shape
    torch.Size([6, 2])
    >>> bool((few.gram(x) - Linear().gram(x)).abs().max() < 1e-4)
    True
    """

    def __init__(self, kernel, landmarks, *, rcond=None):
        self.kernel, self.landmarks = kernel, landmarks
        gram = kernel.gram(landmarks)
        values, vectors = torch.linalg.eigh(gram.double())
        if rcond is None:
            rcond = len(gram) * torch.finfo(gram.dtype).eps
        good = values > rcond * values.max()
        self._whiten = (vectors[:, good] / values[good].sqrt()).to(gram.dtype)

    def features(self, x):
        """
        Whitened kernel values with the landmarks.

        Parameters
        ----------
        x : tensor, array, or tuple or mapping of such
            The samples, first axes n.

        Returns
        -------
        `torch.Tensor`
            Shape (n, rank), rank at most n_landmark.
        """
        return self.kernel.gram(x, self.landmarks) @ self._whiten
