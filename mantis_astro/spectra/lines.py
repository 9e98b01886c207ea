"""
Rest wavelengths and typical strengths of the features that show redshifts.

Wavelengths are in vacuum, in Angstrom: NIST Atomic Spectra Database (Kramida et al.),
in agreement with SDSS's list of lines (its table SPZLINE). Ratios of forbidden lines
from one level are fixed by atomic physics, those of hydrogen by recombination; all
other strengths are typical, rounded values, and a redshift does not hang on them.
"""

__all__ = ["ABSORPTION", "BREAKS", "EMISSION", "Feature"]

from typing import NamedTuple


class Feature(NamedTuple):
    """
    Lines that come together, as one template.

    Attributes
    ----------
    name : str
        What it is.
    lines : tuple of (float, float)
        Vacuum wavelength (Angstrom) and relative strength of each.
    sigma : float
        Width of each line as a standard deviation, km/s.
    red_sigma : float or None
        Width of the red side, where that is another.
    """

    name: str
    lines: tuple
    sigma: float
    red_sigma: float | None = None


_NARROW, _BROAD = 100.0, 1500.0  # km/s

# Recombination, case B at 10,000 K (Osterbrock & Ferland 2006, table 4.4)
_BALMER = (
    (6564.614, 2.86),
    (4862.683, 1.0),
    (4341.684, 0.468),
    (4102.892, 0.259),
    (3971.198, 0.159),
)

EMISSION = (
    Feature("H I", _BALMER, _NARROW),
    # the limits of low and high density; combinations give what lies between
    Feature("[O II] thin", ((3727.092, 1.0), (3729.875, 1.5)), _NARROW),
    Feature("[O II] dense", ((3727.092, 1.0), (3729.875, 0.35)), _NARROW),
    # 2.98: Storey & Zeippen 2000
    Feature("[O III]", ((5008.240, 2.98), (4960.295, 1.0)), _NARROW),
    # 3.05: Storey & Zeippen 2000
    Feature("[N II]", ((6585.268, 3.05), (6549.859, 1.0)), _NARROW),
    Feature("[S II] thin", ((6718.294, 1.44), (6732.678, 1.0)), _NARROW),
    Feature("[S II] dense", ((6718.294, 0.44), (6732.678, 1.0)), _NARROW),
    # 2.44: ratio of the transition probabilities (Osterbrock & Ferland 2006)
    Feature("[S III]", ((9533.2, 2.44), (9071.1, 1.0)), _NARROW),
    # from galaxies it has a red wing only: the blue side is scattered away
    Feature("Lyman alpha", ((1215.670, 1.0),), 100.0, 350.0),
    Feature("broad H I", _BALMER, _BROAD),
    Feature("broad Mg II", ((2799.1, 1.0),), _BROAD),
    Feature("broad C III]", ((1908.734, 1.0),), 1.5 * _BROAD),
    Feature(
        "broad C IV",
        ((1549.48, 1.0), (1215.670, 3.0), (1399.8, 0.3)),
        1.5 * _BROAD,
    ),
)

ABSORPTION = (
    Feature(
        "old stars",
        (
            (3934.777, 1.0),  # Ca II K
            (3969.588, 0.9),  # Ca II H
            (3832.0, 0.3),  # Mg I, CN
            (4227.92, 0.25),  # Ca I
            (4305.61, 0.5),  # G band
            (4384.78, 0.25),  # Fe I
            (4862.683, 0.15),
            (5168.76, 0.2),  # Mg b
            (5174.12, 0.3),
            (5185.05, 0.3),
            (5270.97, 0.22),  # Fe I
            (5329.52, 0.2),
            (5891.583, 0.3),  # Na I D
            (5897.558, 0.25),
            (6564.614, 0.15),
            (8500.36, 0.15),  # Ca II triplet
            (8544.44, 0.3),
            (8664.52, 0.25),
        ),
        250.0,
    ),
    Feature(
        "young stars",  # Balmer lines from H alpha to H 12
        (
            (6564.614, 0.5),
            (4862.683, 0.7),
            (4341.684, 0.8),
            (4102.892, 0.8),
            (3971.198, 0.8),
            (3890.151, 0.8),
            (3836.479, 0.75),
            (3798.982, 0.7),
            (3771.707, 0.6),
            (3751.224, 0.4),
        ),
        500.0,
    ),
)

#: Steps of the continuum: name, wavelength, width in ln(wavelength).
BREAKS = (
    ("4000 A break", 3990.0, 0.012),
    ("Balmer break", 3700.0, 0.012),
    ("Lyman alpha forest", 1215.67, 0.002),
)
