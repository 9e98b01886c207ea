import hashlib
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable

from mantis_astro import Flag, MultibandCutout, PhotoZ, decode_flags
from mantis_astro.exceptions import InputSpecError, PlaceholderModelWarning
from mantis_astro.pdf import RedshiftPDF

from .made import make_galaxy


@pytest.fixture(scope="module")
def photoz():
    return PhotoZ.from_pretrained("simulated-early")


@pytest.fixture(scope="module")
def galaxies():
    """Thirteen galaxies: more than one micro-batch, and not a multiple of it."""
    coords = SkyCoord(np.arange(13) * 0.1, np.linspace(-60, 60, 13), unit="deg")
    return [make_galaxy(c, seed=i, amplitude=20.0 * i) for i, c in enumerate(coords)]


def test_one_galaxy_gives_one_density(photoz, galaxies):
    pdf = photoz.predict(galaxies[0], ebv=0.02)
    assert isinstance(pdf, RedshiftPDF)
    assert pdf.isscalar
    np.testing.assert_array_equal(pdf.bin_edges, photoz.card.bin_edges)


def test_answers_do_not_depend_on_what_is_predicted_together(photoz, galaxies):
    together = photoz.predict(galaxies, ebv=0.02)
    apart = [photoz.predict(galaxy, ebv=0.02) for galaxy in galaxies]
    for one, other in zip(together, apart, strict=True):
        assert one == other  # to the last bit


def test_the_same_input_gives_the_same_bits(photoz, galaxies):
    assert photoz.predict(galaxies, ebv=0.02) == photoz.predict(galaxies, ebv=0.02)


def test_a_generator_is_read_a_chunk_at_a_time(photoz, galaxies, monkeypatch):
    monkeypatch.setattr("mantis_astro.prediction._CHUNK", 5)
    ebv = np.linspace(0, 0.1, 13)
    streamed = photoz.predict((galaxy for galaxy in galaxies), ebv=ebv)
    assert streamed == photoz.predict(galaxies, ebv=ebv)


def test_ebv_is_matched_to_its_object_across_chunks(photoz, galaxies, monkeypatch):
    monkeypatch.setattr("mantis_astro.prediction._CHUNK", 4)
    ebv = np.linspace(0, 0.5, 13)
    together = photoz.predict(galaxies, ebv={"csfd": ebv, "planck": 2 * ebv})
    for i in (0, 6, 12):
        alone = photoz.predict(galaxies[i], ebv={"csfd": ebv[i], "planck": 2 * ebv[i]})
        assert together[i] == alone


@pytest.mark.parametrize("n", [3, 20])
def test_ebv_of_another_length_is_refused(photoz, galaxies, n):
    with pytest.raises(ValueError, match="'ebv'"):
        photoz.predict(galaxies, ebv=np.zeros(n))


def test_no_ebv_is_flagged(photoz, galaxies):
    assert "EBV_ASSUMED" in decode_flags(photoz.predict(galaxies[0]).flags)
    assert "EBV_ASSUMED" not in decode_flags(photoz.predict(galaxies[0], ebv=0.0).flags)


def test_missing_surveys_are_flagged(photoz, galaxies):
    ps1 = galaxies[3].select([band for band in galaxies[3] if band.survey == "ps1"])
    names = decode_flags(photoz.predict(ps1, ebv=0.02).flags)
    assert {"MISSING_GALEX", "MISSING_UNWISE"} <= set(names)
    assert "MISSING_PS1" not in names


def test_an_object_without_data_is_uniform_in_density_and_hurts_no_other(
    photoz, galaxies
):
    empty = MultibandCutout(galaxies[0].coord, {})
    pdf = photoz.predict([galaxies[1], empty, galaxies[2]], ebv=0.02)
    assert pdf[0] == photoz.predict(galaxies[1], ebv=0.02)
    assert pdf[2] == photoz.predict(galaxies[2], ebv=0.02)
    assert pdf[1].flags & Flag.NO_DATA
    density = pdf[1].probability / np.diff(pdf.bin_edges)
    np.testing.assert_allclose(density, density[0], rtol=1e-6)


def test_no_objects_give_no_densities(photoz):
    assert photoz.predict([]).shape == (0,)


def test_the_dihedral_average_does_not_depend_on_orientation(photoz, galaxies):
    turned = galaxies[5].map(_quarter_turn)
    once = photoz.predict(galaxies[5], ebv=0.02, dihedral=True)
    again = photoz.predict(turned, ebv=0.02, dihedral=True)
    np.testing.assert_allclose(once.probability, again.probability, atol=2e-6)


def _quarter_turn(cutout):
    """The same sky seen by a camera turned by 90 degrees."""
    turned = cutout.copy()
    turned.data = np.ascontiguousarray(np.rot90(cutout.data))
    matrix = cutout.wcs.wcs.cdelt * np.eye(2)
    turned.wcs = cutout.wcs.deepcopy()
    turned.wcs.wcs.cdelt = 1, 1
    # new x = old y, new y = nx - 1 - old x
    turned.wcs.wcs.pc = matrix @ np.array([[0, -1], [1, 0]])
    x, y = cutout.wcs.wcs.crpix
    turned.wcs.wcs.crpix = y, cutout.shape[1] + 1 - x
    return turned


def test_results_say_what_made_them(photoz, galaxies):
    meta = photoz.predict(galaxies[0]).meta
    assert meta["PZMODEL"] == "simulated-early"
    assert "torch" in meta["PZVERS"]
    assert "BROAD 0.1" in meta["PZTHRESH"]
    assert all(len(key) <= 8 for key in meta)  # FITS header keys


def test_the_sha256_in_the_results_is_that_of_a_file(photoz, tmp_path):
    photoz.save(tmp_path / "model.safetensors")
    again = PhotoZ.from_file(tmp_path / "model.safetensors")
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert again.provenance()["PZSHA256"] == digest


def test_a_saved_model_gives_the_same_bits(photoz, galaxies, tmp_path):
    photoz.save(tmp_path / "model.safetensors")
    again = PhotoZ.from_file(tmp_path / "model.safetensors")
    assert again.predict(galaxies, ebv=0.02) == photoz.predict(galaxies, ebv=0.02)


def test_a_placeholder_says_so_and_flags_every_row(photoz, galaxies):
    card = replace(photoz.card, placeholder=True)
    with pytest.warns(
        PlaceholderModelWarning, match="redshifts of real galaxies mean nothing"
    ):
        stand_in = PhotoZ(photoz.network, card)
    flags = stand_in.predict(galaxies).flags
    assert ((flags & Flag.PLACEHOLDER_MODEL) != 0).all()
    assert not (photoz.predict(galaxies).flags & Flag.PLACEHOLDER_MODEL).any()


def test_features_are_what_the_last_layer_reads(photoz, galaxies):
    features = photoz.features(galaxies, ebv=0.02)
    weight = photoz.network.fc1.weight.detach().numpy()
    bias = photoz.network.fc1.bias.detach().numpy()
    logits = features @ weight.T + bias
    pdf = RedshiftPDF.from_logits(photoz.card.bin_edges, logits)
    bare = photoz.with_recalibration(None).with_smoothing(0)
    predicted = bare.predict(galaxies, ebv=0.02)
    np.testing.assert_allclose(pdf.probability, predicted.probability, atol=1e-5)


def test_surveys_and_paper_are_cited_once_each(photoz):
    citations = photoz.citations()
    assert "2016arXiv161205560C" in citations
    assert len(set(citations)) == len(citations)


@pytest.mark.parametrize("data", [3, "ngc1.fits", {"ps1.g": 1}])
def test_data_of_another_kind_are_refused(photoz, data):
    with pytest.raises(TypeError, match="must be a MultibandCutout, an iterable"):
        photoz.predict(data)


def test_a_list_of_something_else_is_refused(photoz):
    with pytest.raises(TypeError, match="MultibandCutout"):
        photoz.predict([np.ones((9, 32, 32))])


def test_a_table_is_pointed_to_add_redshifts(photoz):
    with pytest.raises(TypeError, match="add_redshifts takes a table of positions"):
        photoz.predict(QTable({"ra": [1] * u.deg, "dec": [1] * u.deg}))


def test_an_unknown_model_lists_the_known():
    with pytest.raises(InputSpecError, match="simulated-early"):
        PhotoZ.from_pretrained("best-model-ever")


@pytest.fixture(scope="module")
def photometric():
    return PhotoZ.from_pretrained("simulated-photometric")


@pytest.fixture(scope="module")
def fluxes(photometric):
    """A table of made fluxes, twenty rows."""
    rng = np.random.default_rng(0)
    table = QTable()
    for band in photometric.card.bands:
        name = str(band).replace(".", "_")
        table[f"flux_{name}"] = rng.lognormal(10, 1, 20) * u.nJy
        table[f"flux_err_{name}"] = np.full(20, 100.0) * u.nJy
    return table


def test_rows_of_a_table_are_predicted_alone(photometric, fluxes, monkeypatch):
    ebv = np.linspace(0, 0.1, 20)
    whole = photometric.predict(fluxes, ebv=ebv)
    monkeypatch.setattr("mantis_astro.prediction._ROWS", 6)
    assert photometric.predict(fluxes, ebv=ebv) == whole
    assert photometric.predict(fluxes[7:8], ebv=ebv[7]) == whole[7:8]


def test_add_redshifts_reads_the_fluxes_of_the_table(photometric, fluxes):
    table = photometric.add_redshifts(fluxes, ebv=0.02)
    expected = photometric.predict(fluxes, ebv=0.02)
    np.testing.assert_array_equal(table["pz"], expected.probability)
    assert table.colnames[: len(fluxes.colnames)] == fluxes.colnames


def test_a_model_of_fluxes_wants_no_source_of_cutouts(photometric, fluxes):
    with pytest.raises(TypeError, match="which has those of galex.*leave 'source' out"):
        photometric.add_redshifts(fluxes, source=object())


def test_a_model_of_fluxes_measures_cutouts_first(photometric, galaxies):
    from mantis_astro import measure_photometry
    from mantis_astro.photometry import Circular

    cutouts = [*galaxies[1:4], MultibandCutout(galaxies[0].coord, {})]
    ebv = np.array([0.01, 0.02, 0.03, 0.04])
    pdf = photometric.predict(iter(cutouts), ebv=ebv)
    circle = Circular(3 * u.arcsec)
    table = measure_photometry(cutouts, aperture=circle, deblend=None)
    expected = photometric.predict(table, ebv=ebv)
    np.testing.assert_array_equal(pdf.probability, expected.probability)
    np.testing.assert_array_equal(pdf.flags, expected.flags | table["flags"])
    assert decode_flags(pdf.flags)[3][0] == "NO_DATA"
    one = photometric.predict(cutouts[1], ebv=0.02)
    assert one.isscalar
    np.testing.assert_array_equal(one.probability, pdf[1].probability)
    with pytest.raises(InputSpecError, match="photometry has no orientation"):
        photometric.predict(cutouts, dihedral=True)


def test_features_of_a_model_of_fluxes_are_those_of_a_table(photometric, galaxies):
    some = galaxies[1:3]
    expected = photometric.features(photometric.measure(some), ebv=0.02)
    np.testing.assert_array_equal(photometric.features(some, ebv=0.02), expected)


def test_a_model_of_fluxes_of_no_galaxies_gives_no_densities(photometric):
    assert photometric.predict([]).shape == (0,)


def test_photometry_has_no_orientation(photometric, fluxes):
    with pytest.raises(InputSpecError, match="photometry has no orientation"):
        photometric.infer(photometric.prepare(fluxes), dihedral=True)


def test_measured_photometry_goes_straight_in(photometric, galaxies):
    from mantis_astro import measure_photometry

    table = measure_photometry(galaxies[:2])
    pdf = photometric.predict(table, ebv=0.02)
    assert pdf.shape == (2,)
    assert not (pdf.flags & Flag.NO_DATA).any()
