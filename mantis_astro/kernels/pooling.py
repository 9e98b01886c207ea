"""One vector for each text from one for each token, without the padding."""

from collections.abc import Mapping

import torch

__all__ = ["last_token", "mean_of_tokens"]


def mean_of_tokens(a, x):
    """
    Mean over the tokens of a text, for ``pool`` of `ConjugateKernel`.

    Parameters
    ----------
    a : `torch.Tensor`
        What the layer reads, shape (n, n_token, n_feature).
    x : tensor, or tuple or mapping of such
        What the module reads. Where it is a mapping with ``attention_mask``, shape (n,
        n_token), 0 there is padding; else every token counts.

    Returns
    -------
    `torch.Tensor`
        Shape (n, n_feature); 0 for a text of padding alone.

    Raises
    ------
    ValueError
        If there is not one vector for each token.

    Examples
    --------
    >>> import torch
    >>> from mantis_astro.kernels import last_token, mean_of_tokens
    >>> a = torch.tensor([[[1.0], [3.0], [50.0]]])
    >>> x = {"attention_mask": torch.tensor([[1, 1, 0]])}
    >>> mean_of_tokens(a, x), last_token(a, x)
    (tensor([[2.]]), tensor([[3.]]))
    """
    there = _tokens(a, x)[..., None].to(a.dtype)  # (n, n_token, 1)
    return (a * there).sum(1) / there.sum(1).clamp(min=1)


def last_token(a, x):
    """
    Select the last token of each text, for ``pool`` of `ConjugateKernel`.

    Parameters
    ----------
    a, x
        As for `mean_of_tokens`.

    Returns
    -------
    `torch.Tensor`
        Shape (n, n_feature). Padding may be on either side.

    Raises
    ------
    ValueError
        If there is not one vector for each token.
    """
    there = _tokens(a, x)
    position = torch.arange(a.shape[1], device=a.device)
    last = (there * position).argmax(1)
    return a[torch.arange(len(a), device=a.device), last]


def _tokens(a, x):
    """Which vectors are those of tokens, shape (n, n_token), bool."""
    mask = x.get("attention_mask") if isinstance(x, Mapping) else None
    if mask is None:
        mask = a.new_ones(a.shape[:2])
    if a.ndim != 3 or mask.shape != a.shape[:2]:
        msg = (
            "pooling needs one vector for each token: the layer reads "
            f"{tuple(a.shape)}, and the mask has shape {tuple(mask.shape)}"
        )
        raise ValueError(msg)
    return mask != 0
