"""Coordinates of tables of galaxies, in the forms that people use."""

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle, SkyCoord

__all__ = ["find_coordinate_columns", "find_coordinates"]

# Spellings of right ascension and declination, in order of preference; catalogues of
# VizieR carry several pairs.
_EQUATORIAL = (
    ("ra", "dec"),
    ("target_ra", "target_dec"),  # DESI
    ("coord_ra", "coord_dec"),  # Rubin
    ("raj2000", "dej2000"),  # VizieR
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_j2000", "dec_j2000"),
    ("ra2000", "dec2000"),
    ("_ra", "_de"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("ra_deg", "dec_deg"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("ra(deg)", "dec(deg)"),  # NED
    ("ra_d", "dec_d"),  # SIMBAD
    ("s_ra", "s_dec"),  # ObsCore, MAST
    ("alphawin_j2000", "deltawin_j2000"),  # SExtractor
    ("alpha_j2000", "delta_j2000"),
    ("alphapeak_j2000", "deltapeak_j2000"),
    ("alpha_sky", "delta_sky"),
    ("alpha", "delta"),
    ("ramean", "decmean"),  # Pan-STARRS1
    ("rastack", "decstack"),
    ("objra", "objdec"),  # MaNGA
    ("plug_ra", "plug_dec"),  # SDSS, plates
    ("plugra", "plugdec"),
    ("racat", "deccat"),
    ("mean_fiber_ra", "mean_fiber_dec"),  # where the fibre was: last
    ("fiber_ra", "fiber_dec"),
    ("i_ra", "i_dec"),  # HSC
    ("right_ascension", "declination"),  # Euclid
)
# Galactic longitude and latitude, used where there is no pair of the above.
_GALACTIC = (
    ("glon", "glat"),  # VizieR
    ("gal_lon", "gal_lat"),
    ("l", "b"),  # Gaia, SDSS; written so: L and B are bands
)
_AS_WRITTEN = {"l", "b"}


def find_coordinates(table, *, ra=None, dec=None):
    """
    Find the position of each row of a table.

    A `~astropy.coordinates.SkyCoord` column is used if there is one; else a pair of
    columns with one of the usual names, in any case (``ra``/``dec``,
    ``RAJ2000``/``DEJ2000`` of VizieR, ``TARGET_RA``/``TARGET_DEC`` of DESI,
    ``coord_ra``/``coord_dec`` of Rubin, ``ALPHA_J2000``/``DELTA_J2000`` of SExtractor
    and so on); else galactic longitude and latitude (``l``/``b``, ``GLON``/``GLAT``).
    Plain numbers are degrees; text is decimal degrees or, with ``:`` or spaces or
    letters, sexagesimal (hours for right ascension).

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; not changed.
    ra, dec : str, optional
        Names of the columns, where they are not found or not the ones wanted. ``ra``
        alone may name a SkyCoord column, in any frame; ``ra="l", dec="b"`` and other
        usual names of galactic coordinates are taken for those.

    Returns
    -------
    coords : `~astropy.coordinates.SkyCoord`
        ICRS, shape (n,); NaN in rows whose position is missing.
    good : `~numpy.ndarray` of bool
        False where a coordinate is masked, not a number or not on the sphere (a
        latitude beyond 90 degrees, a longitude outside -180 to 360).

    Raises
    ------
    KeyError
        If the columns are not there.
    ValueError
        If there is more than one candidate, or only one of ``ra`` and ``dec`` is given.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from mantis_astro.tables.coordinates import find_coordinates
    >>> table = Table({"RA": ["00:28:22.5", "bad"], "DEC": ["-10:39:03", "12"]})
    >>> coords, good = find_coordinates(table)
    >>> good
    array([ True, False])
    >>> coords[0]
    <SkyCoord (ICRS): (ra, dec) in deg
        (7.09375, -10.65083333)>
    >>> coords, _ = find_coordinates(Table({"l": [102.04], "b": [59.77]}))
    >>> coords.to_string(precision=2)
    ['210.80 54.35']
    """
    if ra is None and dec is None:
        ra, dec = find_coordinate_columns(table)
    for name in filter(None, (ra, dec)):
        if name not in table.colnames:
            msg = f"no column '{name}'; there are {', '.join(table.colnames)}"
            raise KeyError(msg)
    frame = "icrs"
    if ra is not None and isinstance(table[ra], SkyCoord):
        coords = table[ra].icrs
        lon, lat = coords.ra.deg, coords.dec.deg
    elif ra is None or dec is None:
        msg = f"'ra' and 'dec' go together, got ra={ra!r}, dec={dec!r}"
        raise ValueError(msg)
    elif (_spelling(ra), _spelling(dec)) in _GALACTIC:
        frame = "galactic"
        lon, lat = _degrees(table[ra], u.deg), _degrees(table[dec], u.deg)
    else:
        lon, lat = _degrees(table[ra], u.hourangle), _degrees(table[dec], u.deg)
    lon, lat = (np.ma.filled(np.ma.array(x, dtype=float), np.nan) for x in (lon, lat))
    with np.errstate(invalid="ignore"):
        good = (np.abs(lat) <= 90) & (lon >= -180) & (lon <= 360)
    lon, lat = np.where(good, lon, np.nan), np.where(good, lat, np.nan)
    return SkyCoord(lon, lat, unit="deg", frame=frame).icrs, good


def find_coordinate_columns(table):
    """
    Find the columns of a table that hold positions.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    ra, dec : str
        Their names, of galactic longitude and latitude if there are no others; of a
        SkyCoord column its name, and None.

    Raises
    ------
    KeyError
        If there is none.
    ValueError
        If there is more than one candidate.
    """
    skycoords = [name for name in table.colnames if isinstance(table[name], SkyCoord)]
    if len(skycoords) > 1:
        msg = f"several SkyCoord columns, {skycoords}: name one with ra="
        raise ValueError(msg)
    if skycoords:
        return skycoords[0], None
    spelled = {}
    for name in table.colnames:
        spelled.setdefault(_spelling(name), []).append(name)
    for ra, dec in (*_EQUATORIAL, *_GALACTIC):
        if ra in spelled and dec in spelled:
            found = spelled[ra] + spelled[dec]
            if len(found) > 2:
                msg = f"several candidates, {found}: choose with ra= and dec="
                raise ValueError(msg)
            return found
    msg = (
        "no coordinates found: name their columns with ra= and dec=; "
        f"there are {', '.join(table.colnames) or 'no columns'}"
    )
    raise KeyError(msg)


def _spelling(name):
    """Write a name as it is in the lists of pairs: in lower case."""
    spelling = name.lower()
    return name if spelling in _AS_WRITTEN else spelling


def _degrees(column, sexagesimal_unit):
    """Return degrees, a (masked) float array; NaN where a text cannot be read."""
    mask = getattr(column, "mask", False)
    unit = getattr(column, "unit", None)
    if np.asarray(column).dtype.kind in "OSU":
        texts = np.ma.filled(np.ma.array(column, mask=mask, dtype=str), "")
        values = [_parse(text, sexagesimal_unit) for text in texts]
    else:
        values = np.asarray(getattr(column, "unmasked", column), dtype=float)
        if unit is not None and unit != u.dimensionless_unscaled:
            values = u.Quantity(values, unit).to_value(u.deg)
    return np.ma.array(values, mask=mask)


def _parse(text, sexagesimal_unit):
    text = text.strip()
    try:
        return float(text)
    except ValueError:
        pass
    letters = any(c.isalpha() for c in text)  # 12h30m, 5d: they carry their unit
    try:
        return Angle(text, None if letters else sexagesimal_unit).deg
    except (ValueError, u.UnitsError):
        return np.nan
