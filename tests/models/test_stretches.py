"""Stretches are written once: what predicts can be trained."""

import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord

from mantis_astro.models import CommonGrid, InputSpec
from mantis_astro.models.stretches import (
    ClipStretch,
    FluxAsinhStretch,
    PositiveAsinhStretch,
)
from mantis_astro.records import from_plain, record, to_plain
from mantis_astro.training import ArrayData
from tests.made import make_galaxy


@record("test_square_root")
class SquareRootStretch:
    """One that a user registers."""

    scale: float
    in_njy = True

    def __call__(self, pixels):
        return torch.sqrt(pixels.clamp(min=0) / self.scale)


def test_a_registered_stretch_trains_on_what_it_predicts_from():
    spec = InputSpec(
        ("ps1.g", "ps1.r"), CommonGrid((16, 16), 1.0), (SquareRootStretch(100.0),) * 2
    )
    galaxy = make_galaxy(SkyCoord(150.0, 20.0, unit="deg"), seed=1)
    expected = spec.to_tensor([galaxy], 0.02)
    pixels = spec.cut([galaxy])
    data = ArrayData(
        pixels.planes, pixels.observed, expected.ebv, [0.1], z_edges=[0, 0.5]
    )
    (plane,) = pixels.planes
    found = data.take([0]).encoded(spec).images
    assert torch.equal(found, expected.images)
    np.testing.assert_allclose(
        found, np.sqrt(np.maximum(plane, 0) / 100), rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize(
    ("stretch", "reference"),
    [
        (FluxAsinhStretch(200.0), lambda x: np.arcsinh(x / 200)),
        (PositiveAsinhStretch(0.08, 8.0), lambda x: np.arcsinh(x * 0.08).clip(0) / 8),
        (ClipStretch(0.05), lambda x: np.clip(x / 0.05, 0, 1)),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_stretches_are_accurate_to_single_precision(stretch, reference):
    size = np.logspace(-10, 15, 2001)
    x = np.concatenate([-size, [0], size]).astype(np.float32)
    found = stretch(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, reference(x.astype(float)), rtol=3e-7)


def test_the_place_of_a_pixel_in_its_array_does_not_matter():
    pixels = torch.linspace(-500, 500, 1003)
    whole = FluxAsinhStretch(200.0)(pixels)
    for start in range(40):
        part = FluxAsinhStretch(200.0)(pixels[start::7])
        assert torch.equal(part, whole[start::7])


def test_a_file_with_the_former_name_of_the_scale_can_be_read():
    old = {"kind": "flux_asinh", "softening": 200.0}
    assert from_plain(old) == FluxAsinhStretch(200.0) == FluxAsinhStretch(softening=200)
    assert to_plain(from_plain(old)) == {"kind": "flux_asinh", "scale": 200.0}
