"""
Extinction of bands by dust of the Milky Way, and E(B-V) in any form.

Where E(B-V) comes from is `mantis_astro.dust`; this module needs no map.
"""

from collections.abc import Mapping
from typing import TypeAlias

import astropy.units as u
import numpy as np
from numpy.typing import ArrayLike

from mantis_astro.bands import BANDS, get_band
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.fluxes import (
    HIGHEST_EBV,
    LOWEST_EBV,
    get_filter,
    known_ebv,
    read_state,
)
from mantis_astro.units import unit_of, without_unit

__all__ = [
    "DUST_MAPS",
    "EXTINCTION_LAWS",
    "EbvLike",
    "extinction_coefficients",
    "extinction_curve",
    "find_ebv",
    "resolve_ebv",
    "select_ebv",
]

#: E(B-V): one value, one per object, values by name of a map, or the name of a column.
EbvLike: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | str | None

#: Maps of E(B-V) that have a name here, and the paper to cite for each.
DUST_MAPS = {
    "csfd": "2023ApJ...958..118C",  # Chiang 2023: SFD without galaxies' own light
    "planck": "2014A&A...571A..11P",  # Planck Collaboration XI 2013
    "sfd": "1998ApJ...500..525S",  # Schlegel, Finkbeiner & Davis 1998
}

#: Extinction laws that have a name here, and the paper to cite for each.
EXTINCTION_LAWS = {
    "F99": "1999PASP..111...63F",
    "O94": "1994ApJ...422..158O",
}

# Extinction at one micron for E(B-V) = 1 of the map of Schlegel et al.: their 1.32,
# times the 0.78 that stellar colours ask for (Schlafly & Finkbeiner 2011, appendix).
_SFD_AT_ONE_MICRON = 1.32 * 0.78


def extinction_coefficients(
    bands=BANDS, *, law="F99", r_v=3.1, scale="sfd", spectrum=None
):
    r"""
    Compute the extinction of bands for one magnitude of E(B-V).

    Parameters
    ----------
    bands : iterable of Band or str, optional
        Bands, by default the nine of the published network.
    law : {"F99", "O94"}, optional
        Extinction law: Fitzpatrick (1999), or O'Donnell (1994) in the optical with
        Cardelli, Clayton & Mathis (1989) elsewhere.
    r_v : float, optional
        Ratio of total to selective extinction.
    scale : {"sfd", "true"}, optional
        Whether E(B-V) is on the scale of the map of Schlegel, Finkbeiner & Davis
        (1998), as that of Chiang (2023) is too, or is the true colour excess.
    spectrum : callable, optional
        Source behind the dust: takes wavelengths (Angstrom, array), returns the flux
        density per unit wavelength in any scale. By default constant per unit
        frequency (an AB source).

    Returns
    -------
    dict of Band to float
        :math:`A_b / E(B-V)`, in magnitudes.

    Raises
    ------
    ValueError
        If the law or scale is unknown or ``r_v`` is not positive.
    KeyError
        `~mantis_astro.exceptions.MissingBandError` for an unknown band.

    Notes
    -----
    With transmission :math:`T` (photon counting) and source :math:`f_\lambda`,

    .. math:: A_b = -2.5 \log_{10} \frac{\int f_\lambda T \lambda\,
              10^{-0.4 A_\lambda} d\lambda}{\int f_\lambda T \lambda\, d\lambda}

    at E(B-V) = 0.1, where it is practically linear. Schlafly & Finkbeiner (2011, ApJ
    737, 103) found from stellar colours that the map of Schlegel et al. overstates
    E(B-V) by 14 % (a factor of 0.86) and that the law of Fitzpatrick with R_V = 3.1
    fits best. On the scale "sfd" the law is normalised as they do, at one micron, and
    their table 6 comes out for PS1 to 0.3 % in g, r, i, z and 2 % in y (with their
    star of 7,000 K as the spectrum).

    The ultraviolet is uncertain: from galaxies and stars behind dust Yuan, Liu &
    Xiang (2013, MNRAS 430, 2188) measured 4.89 (FUV) and 7.24 (NUV) per E(B-V) of
    the map, where this law gives 7.1 and 7.1; in the infrared the law is a spline
    towards zero at infinite wavelength, and W1 and W2 are small either way.

    Examples
    --------
    >>> from mantis_astro.dust import extinction_coefficients
    >>> coefficients = extinction_coefficients(["ps1.g", "ps1.y"])
    >>> {str(band): round(value, 1) for band, value in coefficients.items()}
    {'ps1.g': 3.2, 'ps1.y': 1.1}
    """
    if not r_v > 0:
        msg = f"'r_v' must be positive, got {r_v}"
        raise ValueError(msg)
    curve, factor = _curve(law), _scale_factor(law, r_v, scale)

    def extinction(wavelength):
        return factor * curve(wavelength, r_v)

    return {
        band: _through_filter(band, extinction, spectrum)
        for band in map(get_band, bands)
    }


def extinction_curve(wavelength, *, law="F99", r_v=3.1, scale="true"):
    """
    Evaluate an extinction law.

    Parameters
    ----------
    wavelength : `~astropy.units.Quantity`
        Wavelengths from 910 Angstrom up, any shape.
    law : {"F99", "O94"}, optional
        The law, see `extinction_coefficients`.
    r_v : float, optional
        Ratio of total to selective extinction.
    scale : {"true", "sfd"}, optional
        What E(B-V) = 1 means, see `extinction_coefficients`.

    Returns
    -------
    ndarray
        Extinction in magnitudes for E(B-V) = 1.

    Raises
    ------
    ValueError
        If the law or scale is unknown.

    References
    ----------
    Fitzpatrick 1999, PASP 111, 63 (section 4 and tables 3 and 4); Cardelli, Clayton &
    Mathis 1989, ApJ 345, 245; O'Donnell 1994, ApJ 422, 158.

    Examples
    --------
    >>> import astropy.units as u
    >>> from mantis_astro.extinction import extinction_curve
    >>> float(extinction_curve(5470 * u.AA).round(1))
    3.1
    """
    angstrom = np.atleast_1d(u.Quantity(wavelength).to_value(u.AA))
    values = _scale_factor(law, r_v, scale) * _curve(law)(angstrom, r_v)
    return values.reshape(np.shape(wavelength))


def resolve_ebv(ebv, n, maps=("csfd",), *, default=0.0):
    """
    Convert E(B-V) of any form to one array.

    Parameters
    ----------
    ebv : None, float, array_like or mapping of str to those
        E(B-V) in magnitudes: one number for all, one for each object, shape (n,), or
        one for each object and map, shape (n, n_maps), or any of these for each map
        by name. Masked, NaN or absent means not known.
    n : int
        Number of objects.
    maps : sequence of str, optional
        Names of the maps wanted, in order.
    default : float or mapping of str to float, optional
        What to assume where E(B-V) is not known.

    Returns
    -------
    values : ndarray
        E(B-V) in magnitudes, shape (n, n_maps), finite and not negative.
    flags : ndarray of int
        Shape (n,): EBV_ASSUMED where a default was used, HIGH_EBV where a value
        exceeds that flag's threshold.

    Raises
    ------
    ValueError
        If the shape fits neither objects nor maps, a mapping names another map, or a
        single number given for all objects cannot be an E(B-V).

    Notes
    -----
    In a column, values below -0.05 or not below 90 (sentinels such as -99 and 99)
    count as not known; values from -0.05 to 0, which the noise of maps produces,
    become 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.dust import resolve_ebv
    >>> from mantis_astro.flags import decode_flags
    >>> values, flags = resolve_ebv([0.03, np.nan, 0.5], 3, default=0.02)
    >>> values[:, 0]
    array([0.03, 0.02, 0.5 ])
    >>> decode_flags(flags)
    [[], ['EBV_ASSUMED'], ['HIGH_EBV']]
    """
    maps = tuple(maps)
    if isinstance(ebv, Mapping):
        strangers = [name for name in ebv if name not in maps]
        if strangers:
            msg = f"'ebv' may name the maps {', '.join(maps)}; got {strangers}"
            raise ValueError(msg)
        given = np.stack([_column(ebv.get(name), n, 1)[:, 0] for name in maps], axis=1)
    else:
        given = _column(ebv, n, len(maps))
    if not isinstance(default, Mapping):
        default = dict.fromkeys(maps, default)
    known = np.isfinite(known_ebv(given))
    values = np.where(known, np.maximum(given, 0), [default[name] for name in maps])
    flags = np.where(known.all(axis=1), 0, int(Flag.EBV_ASSUMED))
    high = (values > Flag.HIGH_EBV.threshold).any(axis=1)
    return values, flags | np.where(high, int(Flag.HIGH_EBV), 0)


def find_ebv(table, ebv):
    """
    Find E(B-V) of each row of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; its column ``ebv``, in any case, counts if nothing else is given.
    ebv : None, float, array_like, str or mapping of str to these
        As for `PhotoZ.add_redshifts`.

    Returns
    -------
    None, float, array_like or dict of str to these
        Names of columns replaced by the columns.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If there is not one value for each row.
    """
    if ebv is None:
        names = [name for name in table.colnames if name.lower() == "ebv"]
        ebv = "ebv" if "ebv" in names else next(iter(names), None)
    if isinstance(ebv, str):
        if ebv not in table.colnames:
            msg = f"no column '{ebv}' of E(B-V); there are {', '.join(table.colnames)}"
            raise KeyError(msg)
        return _where_known(table, ebv)
    if isinstance(ebv, Mapping):
        return {dust_map: find_ebv(table, values) for dust_map, values in ebv.items()}
    if np.ndim(ebv) and len(ebv) != len(table):
        msg = f"'ebv' has {len(ebv)} values for {len(table)} rows"
        raise ValueError(msg)
    return ebv


def _where_known(table, name):
    """Take a column of E(B-V), without what photometry assumed to be 0."""
    is_assumed = (
        read_state(table).is_corrected and name == "ebv" and "flags" in table.colnames
    )
    if not is_assumed:
        return table[name]
    assumed = (np.asarray(table["flags"]) & int(Flag.EBV_ASSUMED)) != 0
    return np.where(assumed, np.nan, without_unit(table[name], table[name].unit))


def select_ebv(ebv, rows):
    """
    Select E(B-V) of some objects, in the form that it has for all.

    Parameters
    ----------
    ebv : None, float, array_like or mapping of str to those
        As `resolve_ebv` takes it.
    rows : slice or array_like of int
        Which objects.

    Returns
    -------
    None, float, array_like or dict of str to those
        The same form, for those objects; what is one number for all stays that.

    Examples
    --------
    >>> import numpy as np
    >>> from mantis_astro.extinction import select_ebv
    >>> select_ebv({"csfd": np.array([0.1, 0.2, 0.3]), "planck": 0.5}, slice(1, 3))
    {'csfd': array([0.2, 0.3]), 'planck': 0.5}
    """
    if isinstance(ebv, Mapping):
        return {name: select_ebv(values, rows) for name, values in ebv.items()}
    if isinstance(ebv, list | tuple):
        ebv = np.asarray(ebv)
    return ebv[rows] if np.ndim(ebv) else ebv


def _column(ebv, n, n_maps):
    """E(B-V) as an array of shape (n, n_maps), NaN where it is not known."""
    if ebv is None:
        return np.full((n, n_maps), np.nan)
    unit = unit_of(ebv)
    is_magnitude = unit is None or u.Unit(unit).is_equivalent(u.mag)
    try:
        values = without_unit(ebv, u.mag if is_magnitude else u.one)
    except (TypeError, ValueError) as error:
        msg = f"'ebv' must be numbers, in magnitudes if they have a unit: {error}"
        raise InputSpecError(msg) from None
    if values.ndim == 0 and np.isnan(known_ebv(values)) and not np.isnan(values):
        msg = f"'ebv' must be from {LOWEST_EBV} to {HIGHEST_EBV:g} mag, got {values}"
        raise ValueError(msg)
    if values.ndim == 0:
        return np.full((n, n_maps), float(values))
    if values.shape == (n,):
        return np.repeat(values[:, None], n_maps, axis=1)
    if values.shape == (n, n_maps):
        return values
    msg = (
        f"'ebv' must be one number, or have shape ({n},) or ({n}, {n_maps}), "
        f"got shape {values.shape}"
    )
    raise ValueError(msg)


def _through_filter(band, extinction, spectrum):
    curve = get_filter(band)
    wavelength, transmission = curve.wavelength, curve.transmission
    source = wavelength**-2.0 if spectrum is None else spectrum(wavelength)
    photons = source * transmission * wavelength
    ebv = 0.1
    dimmed = photons * 10 ** (-0.4 * ebv * extinction(wavelength))
    ratio = np.trapezoid(dimmed, wavelength) / np.trapezoid(photons, wavelength)
    return float(-2.5 * np.log10(ratio) / ebv)


def _curve(law):
    curves = {"F99": _fitzpatrick_1999, "O94": _odonnell_1994}
    try:
        return curves[law]
    except KeyError:
        msg = f"no extinction law {law!r}; there are {', '.join(EXTINCTION_LAWS)}"
        raise ValueError(msg) from None


def _scale_factor(law, r_v, scale):
    """Find the factor of a law for which E(B-V) = 1 is on a scale."""
    if scale not in ("sfd", "true"):
        msg = f"'scale' must be 'sfd' or 'true', got {scale!r}"
        raise ValueError(msg)
    micron = np.array([1e4])  # in Angstrom
    at_micron = float(_curve(law)(micron, r_v)[0])
    return _SFD_AT_ONE_MICRON / at_micron if scale == "sfd" else 1.0


def _fitzpatrick_1999(angstrom, R):
    """A(lambda) / E(B-V) of Fitzpatrick (1999): a spline joined to a formula."""
    from scipy.interpolate import CubicSpline

    knots = 1e4 / np.array([np.inf, 26500, 12200, 6000, 5470, 4670, 4110, 2700, 2600])
    anchors = [
        0.0,
        0.265 * R / 3.1,
        0.829 * R / 3.1,
        -0.426 + 1.0044 * R,
        -0.050 + 1.0016 * R,
        0.701 + 1.0016 * R,
        1.208 + 1.0032 * R - 0.00033 * R**2,
        *_fitzpatrick_1999_ultraviolet(knots[-2:], R),
    ]
    x = 1e4 / angstrom  # 1 / micron
    spline = CubicSpline(knots, anchors, bc_type="natural")
    return np.where(x > knots[-2], _fitzpatrick_1999_ultraviolet(x, R), spline(x))


def _fitzpatrick_1999_ultraviolet(x, R):
    c_2 = -0.824 + 4.717 / R
    c_1 = 2.030 - 3.007 * c_2
    c_3, c_4, x_0, gamma = 3.23, 0.41, 4.596, 0.99
    bump = x**2 / ((x**2 - x_0**2) ** 2 + (gamma * x) ** 2)
    y = np.maximum(x - 5.9, 0)
    rise = 0.5392 * y**2 + 0.05644 * y**3
    return R + c_1 + c_2 * x + c_3 * bump + c_4 * rise


def _odonnell_1994(angstrom, R):
    """A(lambda) / E(B-V) = R a(x) + b(x) of O'Donnell (1994) and Cardelli et al."""
    x = 1e4 / angstrom  # 1 / micron
    y = x - 1.82
    infrared = x**1.61
    optical_a = np.polyval(
        [-0.505, 1.647, -0.827, -1.718, 1.137, 0.701, -0.609, 0.104, 1.0], y
    )
    optical_b = np.polyval(
        [3.347, -10.805, 5.491, 11.102, -7.985, -3.989, 2.908, 1.952, 0.0], y
    )
    z = np.maximum(x - 5.9, 0)
    near_a = 1.752 - 0.316 * x - 0.104 / ((x - 4.67) ** 2 + 0.341)
    near_b = -3.090 + 1.825 * x + 1.206 / ((x - 4.62) ** 2 + 0.263)
    near_a += -0.04473 * z**2 - 0.009779 * z**3
    near_b += 0.2130 * z**2 + 0.1207 * z**3
    w = x - 8.0
    far_a = np.polyval([-0.070, 0.137, -0.628, -1.073], w)
    far_b = np.polyval([0.374, -0.420, 4.257, 13.670], w)
    pieces = [x < 1.1, x < 3.3, x < 8.0]
    a = np.select(pieces, [0.574 * infrared, optical_a, near_a], far_a)
    b = np.select(pieces, [-0.527 * infrared, optical_b, near_b], far_b)
    return R * a + b
