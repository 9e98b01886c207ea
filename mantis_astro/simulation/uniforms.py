"""Random numbers that belong to an object: functions of its key, not of call order."""

import hashlib

import numpy as np

__all__ = ["child_keys", "keys_at", "keys_of", "poisson", "salt_of", "uniforms"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_POSITIONS = 1  # apart from numbered objects


def keys_of(seed, index, *, salt=0):
    """
    Make the keys of numbered objects.

    Parameters
    ----------
    seed : int
        Seed, from 0 to 2**63.
    index : array_like of int
        Numbers of the objects, not negative.
    salt : int, optional
        Another salt, other keys.

    Returns
    -------
    `~numpy.ndarray` of uint64
        One key for each.

    Examples
    --------
    >>> from mantis_astro.simulation.uniforms import keys_of
    >>> keys_of(1, [0, 1])[1] == keys_of(1, [1])[0]
    np.True_
    """
    start = _mix(_mix(np.array([seed], np.uint64)) + np.uint64(2 * salt))
    return _mix(start + _GOLDEN * (np.asarray(index, np.uint64) + np.uint64(1)))


def keys_at(seed, coords):
    """
    Make the keys of positions on the sky.

    Parameters
    ----------
    seed : int
        Seed, from 0 to 2**63.
    coords : `~astropy.coordinates.SkyCoord`
        Positions, shape (n,); rounded to 0.01 arcsec.

    Returns
    -------
    `~numpy.ndarray` of uint64
        One key for each.
    """
    icrs = coords.icrs
    ra = np.round(icrs.ra.deg % 360 * 3.6e5).astype(np.uint64) % np.uint64(129600000)
    dec = np.round((icrs.dec.deg + 90) * 3.6e5).astype(np.uint64)
    start = _mix(_mix(np.array([seed], np.uint64)) + np.uint64(2 * _POSITIONS - 1))
    return _mix(_mix(start + _GOLDEN * (ra + np.uint64(1))) + _GOLDEN * dec)


def uniforms(keys, n, *, salt=0):
    """
    Draw uniform numbers for each key.

    Parameters
    ----------
    keys : `~numpy.ndarray` of uint64
        Keys, shape (n_key,).
    n : int
        How many numbers for each.
    salt : int, optional
        Another salt, other numbers.

    Returns
    -------
    `~numpy.ndarray`
        Between 0 and 1, both excluded, shape (n_key, n).

    Notes
    -----
    The counter-based generator of Steele, Lea & Flood (2014, OOPSLA, 453): the numbers
    of an object are hashes of its key and their place in the row, so that nothing
    depends on how many objects are drawn, or in which order.

    Examples
    --------
    >>> from mantis_astro.simulation.uniforms import keys_of, uniforms
    >>> uniforms(keys_of(1, [0, 1]), 3).shape
    (2, 3)
    """
    start = _mix(keys + np.uint64(salt * 0xD1B54A32D192ED03 % 2**64))
    counters = _GOLDEN * np.arange(1, n + 1, dtype=np.uint64)
    bits = _mix(start[:, None] + counters) >> np.uint64(11)
    return (bits.astype(float) + 0.5) * 2.0**-53


def salt_of(name):
    """
    Make a salt of a name, so that no two names share numbers.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    int
        Of 32 bits; the same on every machine.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def child_keys(keys, counts, *, salt=0):
    """
    Make the keys of things that belong to objects.

    Parameters
    ----------
    keys : `~numpy.ndarray` of uint64
        Keys of the objects, shape (n,).
    counts : `~numpy.ndarray` of int
        How many things each has, shape (n,).
    salt : int, optional
        Another salt, other keys.

    Returns
    -------
    parent : `~numpy.ndarray` of int
        Row of the object that each belongs to, ascending.
    children : `~numpy.ndarray` of uint64
        Keys; the first of an object are the same however many it has.
    """
    parent = np.repeat(np.arange(len(keys)), counts)
    first = np.cumsum(counts) - counts
    place = (np.arange(len(parent)) - first[parent]).astype(np.uint64)
    start = _mix(keys + np.uint64(salt * 0xA0761D6478BD642F % 2**64))
    return parent, _mix(start[parent] + _GOLDEN * (place + np.uint64(1)))


def poisson(u01, mean):
    """
    Convert uniform numbers to Poisson numbers.

    Parameters
    ----------
    u01 : `~numpy.ndarray`
        Uniform numbers, shape (n,).
    mean : `~numpy.ndarray`
        Means, below 500, shape (n,).

    Returns
    -------
    `~numpy.ndarray` of int
        Shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.simulation.uniforms import poisson
    >>> poisson(np.array([0.1, 0.5, 0.99]), np.ones(3))
    array([0, 1, 4])
    """
    count = np.zeros(len(u01), dtype=int)
    term = np.exp(-mean)
    total = term.copy()
    for k in range(1, 1000):
        more = u01 > total
        if not more.any():
            break
        count += more
        term = term * mean / k
        total = total + term
    return count


def _mix(x):
    """Spread the bits of 64-bit integers (splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
