"""What the loop prepares is what `predict` prepares."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord

from mantis_astro.bands import BANDS, get_bands
from mantis_astro.models import CommonGrid, InputSpec, PhotometrySpec
from mantis_astro.models.geometry import SurveyGrids
from mantis_astro.models.inputs import PUBLISHED_BANDS
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.training import ArrayData
from tests.made import make_galaxy

STRETCH = tuple(FluxAsinhStretch(100.0 * (i + 1)) for i in range(9))


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec.published_early(),
        InputSpec.published_late(),
        InputSpec(PUBLISHED_BANDS, CommonGrid((16, 16), 1.0), STRETCH),
        InputSpec(PUBLISHED_BANDS, SurveyGrids((16, 16), 1.0), STRETCH),
    ],
    ids=["early", "late", "grid", "grids"],
)
def test_images_are_those_of_the_spec(spec):
    coord = SkyCoord(150.0, 20.0, unit="deg")
    galaxies = [
        make_galaxy(coord, seed=1),
        make_galaxy(coord, seed=2).select(BANDS[1:7]),
    ]
    expected = spec.to_tensor(galaxies, 0.02)
    pixels = spec.geometry.cut(
        galaxies, get_bands(spec.bands), in_njy=spec.stretch[0].in_njy
    )
    planes = tuple(np.nan_to_num(plane) for plane in pixels.planes)
    data = ArrayData(
        planes, pixels.observed, expected.ebv, [0.1, 0.2], z_edges=[0, 0.5, 1]
    )
    images = data.take([0, 1]).encoded(spec).images
    many = isinstance(expected.images, tuple)
    assert isinstance(images, tuple) == many
    pairs = (
        zip(images, expected.images, strict=True)
        if many
        else [(images, expected.images)]
    )
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_photometry_is_that_of_the_spec(toy):
    spec = PhotometrySpec(toy.bands, (300.0, 50.0))
    table = toy.table(50)
    table["flux_ps1_g"][3] = np.nan
    table["flux_err_ps1_r"][4] = np.nan
    table["flux_err_ps1_r"][5] = -1 * u.nJy
    table["flux_ps1_g"] = table["flux_ps1_g"].to("uJy")
    expected = spec.to_tensor(table, 0.03)
    images, observed = spec.arrays(table)
    data = ArrayData(images, observed, expected.ebv, table["z_spec"], z_edges=toy.edges)
    mine = data.take(np.arange(50)).encoded(spec)
    torch.testing.assert_close(mine.images, expected.images, rtol=1e-5, atol=1e-5)
