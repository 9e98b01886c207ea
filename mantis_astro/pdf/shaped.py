"""`BinnedArray`: probability in bins, shaped and indexed like an array of galaxies."""

import numpy as np
from astropy.utils.shapes import ShapedLikeNDArray

from mantis_astro import binned
from mantis_astro.flags import Flag

__all__ = ["BinnedArray"]


class BinnedArray(ShapedLikeNDArray):
    """
    Probability in bins, array-like over galaxies.

    Indexing, iteration, ``reshape``, ``ravel``, ``T`` and the like act on galaxies;
    the axis of bins is not one of them and always stays last. What it can compute is
    the business of `~mantis_astro.pdf.RedshiftPDF`.

    Parameters
    ----------
    bin_edges : array_like or `~astropy.units.Quantity`
        Edges of the bins, shape ``(n_bins + 1,)``: finite, increasing, not below 0.
    probability : array_like
        Probability of each bin, shape ``(..., n_bins)``.
    flags : int or array_like of int, optional
        Quality bits of each galaxy, broadcast to the leading shape.
    meta : dict, optional
        Anything worth keeping about all of them.
    """

    def __init__(self, bin_edges, probability, *, flags=None, meta=None):
        edges, values = self._match(bin_edges, probability, "probability")
        probability, good = binned.normalize(edges, values)
        self._check("probability", values, good)
        self._set(edges, probability, _match_flags(flags, good.shape), meta)

    def _set(self, bin_edges, probability, flags, meta):
        bin_edges.flags.writeable = False
        probability.flags.writeable = False
        flags.flags.writeable = False
        self._bin_edges = bin_edges
        self._probability = probability
        self._flags = flags
        self.meta = dict(meta or {})

    @classmethod
    def _from_parts(cls, bin_edges, probability, flags, meta):
        """Assemble parts known to be right, without a copy."""
        self = cls.__new__(cls)
        self._set(bin_edges, probability, flags, meta)
        return self

    @classmethod
    def _from_rows(cls, parts, values, name, *, flags, meta, bad):
        """Assemble rows of which some may be bad: refused, or flagged."""
        edges, probability, good = parts
        if bad not in {"raise", "flag"}:
            msg = f"'bad' must be 'raise' or 'flag', got {bad!r}"
            raise ValueError(msg)
        if bad == "raise":
            cls._check(name, values, good)
        flags = _match_flags(flags, good.shape) | np.where(good, 0, int(Flag.NO_DATA))
        return cls._from_parts(edges, probability, np.asarray(flags), meta)

    @staticmethod
    def _match(bin_edges, values, name):
        """Check edges, and an array whose last axis must match them."""
        edges = binned.validate_bin_edges(bin_edges)
        values = _plain_array(values)
        if values.dtype.kind not in "biuf":
            msg = f"'{name}' must be real numbers, got dtype {values.dtype}"
            raise TypeError(msg)
        if values.ndim == 0 or values.shape[-1] != len(edges) - 1:
            msg = (
                f"last axis of '{name}' must match the redshift bins: expected "
                f"{len(edges) - 1}, got shape {values.shape}"
            )
            raise ValueError(msg)
        return edges, values

    @staticmethod
    def _check(name, values, good):
        """Refuse bad rows, naming the first."""
        if good.all():
            return
        first = tuple(int(i) for i in np.argwhere(~good)[0])
        row = np.asarray(values)[first]
        if not np.isfinite(row).all():
            fault = f"holds {row[~np.isfinite(row)][0]}"
        elif (row < 0).any():
            fault = f"holds {row.min()}"
        else:
            fault = "has no probability in the bins"
        where = f"row {first[0] if len(first) == 1 else first} of " if first else ""
        msg = (
            f"{where}'{name}' {fault}: a row must be finite, not negative and not all "
            f"zero ({np.sum(~good)} of {good.size} are not). Within a batch, "
            f"bad='flag' makes such rows uniform and flags them NO_DATA"
        )
        raise ValueError(msg)

    @property
    def bin_edges(self):
        """Bin edges in redshift, shape ``(n_bins + 1,)``; read-only."""
        return self._bin_edges

    @property
    def probability(self):
        """Probability of each bin, shape ``(..., n_bins)``, sum 1; read-only."""
        return self._probability

    @property
    def flags(self):
        """Quality bits (`~mantis_astro.flags.Flag`), the shape of the galaxies."""
        return self._flags[()]

    @property
    def shape(self):
        """Shape over galaxies, without the bins."""
        return self._flags.shape

    @property
    def n_bins(self):
        """Number of bins."""
        return len(self._bin_edges) - 1

    @property
    def bin_widths(self):
        """Bin widths in redshift, shape ``(n_bins,)``."""
        return np.diff(self._bin_edges)

    @property
    def bin_centres(self):
        """Bin centres in redshift, shape ``(n_bins,)``."""
        return (self._bin_edges[1:] + self._bin_edges[:-1]) / 2

    @property
    def density(self):
        """Probability per unit redshift in each bin, shape ``(..., n_bins)``."""
        return self._probability / self.bin_widths.astype(self._probability.dtype)

    def __getitem__(self, item):
        key = item if isinstance(item, tuple) else (item,)
        flags = self._flags[key]  # refuses what would reach the bins
        probability = self._probability[(*key, slice(None))]
        return self._from_parts(
            self._bin_edges, probability, np.asarray(flags), self.meta
        )

    def _apply(self, method, *args, **kwargs):
        """Reshape an index of the galaxies, and take them by it."""
        index = np.arange(self.size).reshape(self.shape)
        if callable(method):
            index = method(index, *args, **kwargs)
        else:
            index = getattr(index, method)(*args, **kwargs)
        rows = self._probability.reshape(-1, self.n_bins)
        return self._from_parts(
            self._bin_edges, rows[index], self._flags.ravel()[index, ...], self.meta
        )

    @classmethod
    def concatenate(cls, pdfs, axis=0):
        """
        Join along an axis of galaxies.

        Parameters
        ----------
        pdfs : iterable of RedshiftPDF
            All with the same bin edges; a scalar counts as an array of one.
        axis : int, optional
            Axis of the galaxies to join along.

        Returns
        -------
        RedshiftPDF
            Flags joined too; meta is what all agree on.

        Raises
        ------
        ValueError
            If there is none, or bin edges differ.

        Examples
        --------
        >>> from mantis_astro import RedshiftPDF
        >>> one = RedshiftPDF([0, 1, 2], [0.5, 0.5])
        >>> RedshiftPDF.concatenate([one, one]).shape
        (2,)
        """
        pdfs = [pdf.reshape(1) if pdf.isscalar else pdf for pdf in pdfs]
        if not pdfs:
            msg = "'pdfs' is empty: at least one is needed to know the bins"
            raise ValueError(msg)
        first, *others = pdfs
        for i, other in enumerate(others, start=1):
            if not np.array_equal(first.bin_edges, other.bin_edges):
                msg = (
                    f"bin edges of number {i} of 'pdfs' differ from those of the first;"
                    " bring them to the same bins with rebin(first.bin_edges)"
                )
                raise ValueError(msg)
        if not -first.ndim <= axis < first.ndim:
            msg = f"'axis' must be one of {first.ndim} axes of galaxies, got {axis}"
            raise ValueError(msg)
        axis %= first.ndim
        meta = {
            key: value
            for key, value in first.meta.items()
            if all(key in other.meta and other.meta[key] == value for other in others)
        }
        return cls._from_parts(
            first.bin_edges,
            np.concatenate([pdf.probability for pdf in pdfs], axis=axis),
            np.concatenate([pdf.flags for pdf in pdfs], axis=axis),
            meta,
        )

    def add_flags(self, flags):
        """
        Set more quality bits.

        Parameters
        ----------
        flags : int or array_like of int
            Bits to set, broadcast to the galaxies.

        Returns
        -------
        RedshiftPDF
            A new object; the bits that were set stay set.

        Examples
        --------
        >>> from mantis_astro import Flag, RedshiftPDF
        >>> pdf = RedshiftPDF([0, 1, 2], [0.5, 0.5], flags=Flag.BLEND)
        >>> pdf = pdf.add_flags(Flag.HIGH_EBV)
        >>> Flag(int(pdf.flags)) == Flag.BLEND | Flag.HIGH_EBV
        True
        """
        flags = self._flags | _match_flags(flags, self.shape)
        return self._from_parts(
            self._bin_edges, self._probability, np.asarray(flags), self.meta
        )

    def __eq__(self, other):
        if not isinstance(other, BinnedArray):
            return NotImplemented
        return (
            np.array_equal(self._bin_edges, other.bin_edges)
            and np.array_equal(self._probability, other.probability)
            and np.array_equal(self._flags, other.flags)
        )

    __hash__ = None

    def __reduce__(self):
        parts = (self._bin_edges, self._probability, self._flags, self.meta)
        return type(self)._from_parts, parts


def _plain_array(values):
    """Make a numpy array, also of a torch tensor on any device; masked becomes NaN."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if values.dtype.itemsize < 4 else values  # bfloat16
    if np.ma.isMA(values):
        values = values.astype(np.result_type(values, np.float32)).filled(np.nan)
    return np.asarray(values)


def _match_flags(flags, shape):
    """Make flags int64, of the galaxies' shape."""
    flags = np.asarray(0 if flags is None else flags)
    if flags.dtype.kind not in "iu":
        msg = f"'flags' must be integers, got dtype {flags.dtype}"
        raise TypeError(msg)
    try:
        return np.broadcast_to(flags, shape).astype(np.int64)
    except ValueError:
        msg = f"'flags' must broadcast to shape {shape}, got shape {flags.shape}"
        raise ValueError(msg) from None
