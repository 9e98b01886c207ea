"""Numbers of a classifier that have a tangent kernel of their own."""

from dataclasses import dataclass

import torch

from mantis_astro.kernels.inputs import logits_of

__all__ = ["ClassLogit", "ClassMargin"]


@dataclass(frozen=True)
class ClassLogit:
    """
    Logit of one class, for ``output`` of `EmpiricalNTK` and `ProjectedNTK`.

    Parameters
    ----------
    index : int
        Number of the class.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.kernels import ClassLogit
    >>> ClassLogit(1)(torch.tensor([[1.0, 3.0]]))
    tensor([[3.]])
    """

    index: int

    def __call__(self, answer):
        """Pick it from what the module returns, (n, n_class); returns (n, 1)."""
        return _of_class(logits_of(answer), self.index)[0]


@dataclass(frozen=True)
class ClassMargin:
    """
    Log odds of one class against all others, for ``output`` of the tangent kernels.

    Of two classes it is the difference of their logits.

    Parameters
    ----------
    index : int
        Number of the class.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.kernels import ClassMargin
    >>> ClassMargin(1)(torch.tensor([[1.0, 3.0]]))
    tensor([[2.]])
    """

    index: int = 1

    def __call__(self, answer):
        """Compute it from what the module returns, (n, n_class); returns (n, 1)."""
        own, others = _of_class(logits_of(answer), self.index)
        return own - others.logsumexp(1, keepdim=True)


def _of_class(logits, index):
    """Logits of the class, (n, 1), and of the others, (n, n_class - 1)."""
    if logits.ndim != 2 or not 0 <= index < logits.shape[1]:
        msg = (
            f"class {index} needs logits of shape (n, more than {index}), got "
            f"{tuple(logits.shape)}"
        )
        raise ValueError(msg)
    others = torch.cat([logits[:, :index], logits[:, index + 1 :]], 1)
    return logits[:, index : index + 1], others
