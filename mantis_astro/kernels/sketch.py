"""Random sums of many numbers: vectors of any length become short, products stay."""

import math

import torch

__all__ = ["Sketch"]

_WIDTH = 256  # numbers a row: 1 kB, which memory hands over at full speed


class Sketch:
    """
    Linear map onto few dimensions that keeps inner products, on average.

    Parameters
    ----------
    sizes : dict of str to int
        Length of each part of the vectors.
    n_dimensions : int
        Length of a sketch; the error of an inner product falls as its inverse root.
    seed : int
        Seed of the map.
    device : `torch.device`
        Where the vectors are.

    Notes
    -----
    A vector is cut into rows of at most 256 numbers. Every row gets a random sign and
    is shifted around the ``n_dimensions`` places by a random number, every column gets
    a random sign, and all rows are added up. Two numbers of different rows meet in one
    place with probability ``1 / n_dimensions``, with independent signs, so that

        ``E[S u @ S v] = u @ v``, with variance of about
        ``(|u|^2 |v|^2 + (u @ v)^2) / n_dimensions``,

    as for dense random signs (Achlioptas 2003, J. Comput. Syst. Sci. 66, 671), and
    twice that where all rows are parallel. Dense signs cost ``n_dimensions``
    operations a number where this costs one (as feature hashing does, Weinberger et
    al. 2009, arXiv:0902.2206), and they would not fit in memory.
    """

    def __init__(self, sizes, n_dimensions, *, seed, device):
        self.n_dimensions = n_dimensions
        self.width = min(_WIDTH, n_dimensions)
        generator = torch.Generator().manual_seed(seed)  # the same on every device
        places = 2 * n_dimensions  # the shift, and the sign in front

        def draw(most, n):
            return torch.randint(0, most, (n,), generator=generator).to(device)

        self._places = {
            name: draw(places, math.ceil(size / self.width))
            for name, size in sizes.items()
        }
        self._signs = 2 * draw(2, self.width) - 1
        shift = torch.arange(n_dimensions)[:, None] + torch.arange(self.width)
        self._target = (shift % n_dimensions).flatten().to(device)

    @property
    def scratch(self):
        """Number of values that the sums of one vector need."""
        return 2 * self.n_dimensions * self.width

    def __call__(self, parts):
        """
        Sketch vectors.

        Parameters
        ----------
        parts : dict of str to `torch.Tensor`
            Parts of the vectors, each of shape (n, size).

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_dimensions).
        """
        n = len(next(iter(parts.values())))
        like = next(iter(parts.values()))
        sums = like.new_zeros(n, 2 * self.n_dimensions, self.width)
        for name, part in parts.items():
            places = self._places[name]
            whole = part.shape[1] // self.width  # rows; the last may be shorter
            rows = part[:, : whole * self.width].reshape(n, whole, self.width)
            sums.index_add_(1, places[:whole], rows)
            rest = part[:, whole * self.width :]
            if rest.shape[1]:
                sums[:, places[whole], : rest.shape[1]] += rest
        plus, minus = sums.chunk(2, dim=1)
        signed = (plus - minus) * self._signs.to(like.dtype)  # (n, shift, column)
        sketch = like.new_zeros(n, self.n_dimensions)
        return sketch.index_add_(1, self._target, signed.flatten(1))
