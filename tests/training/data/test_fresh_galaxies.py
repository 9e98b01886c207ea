"""Simulated galaxies as a model reads them, for tests of models."""

from dataclasses import replace

import numpy as np
import pytest

from mantis_astro import Flag, PhotoZ
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import get_card
from mantis_astro.training import iter_simulated, predict_simulated


@pytest.fixture(scope="module")
def photoz():
    return PhotoZ.from_pretrained("simulated-photometric")


@pytest.fixture(scope="module")
def parts(photoz):
    return list(iter_simulated(photoz.card, 300, neighbours=False))


def test_batches_make_up_the_number(parts):
    assert [len(prepared) for prepared, _ in parts] == [256, 44]
    assert all(len(z) == len(prepared) for prepared, z in parts)


def test_missing_surveys_are_flagged(parts):
    prepared, _ = parts[0]
    share = np.mean((prepared.flags & Flag.MISSING_GALEX) != 0)
    assert 0.05 < share < 0.7  # a realistic share of the sky has no GALEX
    assert prepared.usable.all()


def test_redshifts_beyond_the_bins_are_not_known(photoz, parts):
    z_spec = np.concatenate([z for _, z in parts])
    known = z_spec[np.isfinite(z_spec)]
    assert len(known) > 200
    assert known.max() < photoz.card.z_edges[-1]


def test_what_is_predicted_is_what_the_model_says_of_them(photoz, parts):
    pdf, z_spec = predict_simulated(photoz, 300, neighbours=False)
    np.testing.assert_array_equal(z_spec, np.concatenate([z for _, z in parts]))
    expected = [photoz.infer(prepared).probability for prepared, _ in parts]
    np.testing.assert_array_equal(pdf.probability, np.concatenate(expected))
    assert pdf.meta["PZMODEL"] == "simulated-photometric"


def test_another_seed_makes_other_galaxies(photoz):
    options = {"neighbours": False}
    ((_, z),) = iter_simulated(photoz.card, 20, **options)
    ((_, same),) = iter_simulated(photoz.card, 20, seed=1000, **options)
    ((_, other),) = iter_simulated(photoz.card, 20, seed=1001, **options)
    np.testing.assert_array_equal(z, same)
    assert (z != other).any()


def test_models_of_native_images_are_refused():
    with pytest.raises(InputSpecError, match="the geometry must be CommonGrid"):
        next(iter_simulated(get_card("mantis-shrimp-early"), 5))


def test_unknown_dust_maps_are_refused(photoz):
    spec = replace(photoz.card.spec, ebv_maps=("csfd", "gaia"))
    with pytest.raises(InputSpecError, match="not of .'gaia'"):
        next(iter_simulated(replace(photoz.card, spec=spec), 5))
