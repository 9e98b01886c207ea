"""What is read of RAIL's tables, and how p(z) go back; all without RAIL itself."""

import astropy.units as u
import numpy as np
import pytest

from mantis_astro import PhotoZ, RedshiftPDF
from mantis_astro.adaptation import ZeroPoints
from mantis_astro.bands import get_bands
from mantis_astro.exceptions import FetchError, InputSpecError, MissingBandError
from mantis_astro.fluxes import njy_from_ab, read_state
from mantis_astro.rail import InformedModel
from mantis_astro.rail.ensembles import on_grid
from mantis_astro.rail.photometry import PhotometryColumns

GR = PhotometryColumns(
    ("g", "r"),
    ("g_err", "r_err"),
    ("lsst_baseline_g", "lsst_baseline_r"),
    mag_limits={"g": 28.0},
)


def table(**columns):
    usual = {"g": [22.0, 23.0], "g_err": [0.1, 0.1], "r": [21.0, 22.0]}
    usual["r_err"] = [0.1, 0.1]
    return {name: np.array(x, float) for name, x in (usual | columns).items()}


def test_magnitudes_become_fluxes():
    fluxes, ebv = GR.read(table())
    expected = 3631e9 * 10 ** (-0.4 * np.array([22, 23]))
    assert np.allclose(fluxes["flux_lsst_baseline_g"].value, expected, rtol=1e-3)
    ratio = fluxes["flux_err_lsst_baseline_r"] / fluxes["flux_lsst_baseline_r"]
    assert np.allclose(ratio, 0.1 * np.log(10) / 2.5)
    assert ebv == 0.0
    assert read_state(fluxes).aperture == "total"


def test_what_was_not_detected_is_no_flux_within_the_noise():
    fluxes, _ = GR.read(table(g=[99, 23], g_err=[27, 0.1]))
    assert fluxes["flux_lsst_baseline_g"][0] == 0 * u.nJy
    error = fluxes["flux_err_lsst_baseline_g"][0]
    assert u.isclose(error, njy_from_ab(27.0) * u.nJy)  # the limit of the table
    fluxes, _ = GR.read(table(g=[99, 23], g_err=[99, 0.1]))
    error = fluxes["flux_err_lsst_baseline_g"][0]
    assert u.isclose(error, njy_from_ab(28.0) * u.nJy)  # that of the parameters


def test_without_a_limit_what_was_not_detected_is_not_observed():
    fluxes, _ = GR.read(table(r=[99, 22], r_err=[99, 0.1]))
    assert fluxes["flux_lsst_baseline_r"].mask.tolist() == [True, False]


def test_not_detected_may_be_nan():
    columns = PhotometryColumns(
        GR.bands, GR.err_bands, GR.filters, nondetect_val=np.nan, mag_limits={"g": 28}
    )
    fluxes, _ = columns.read(table(g=[np.nan, 23], g_err=[np.nan, 0.1]))
    assert fluxes["flux_lsst_baseline_g"][0] == 0 * u.nJy


def test_what_was_not_observed_is_masked():
    fluxes, _ = GR.read(table(g=[-99, 23], g_err=[-99, 0.1]))
    assert fluxes["flux_lsst_baseline_g"].mask.tolist() == [True, False]


def test_fluxes_may_be_negative():
    columns = PhotometryColumns(("g",), ("g_err",), ("lsst_baseline_g",), unit="nJy")
    fluxes, _ = columns.read(table(g=[-20, 99], g_err=[30, 30]))
    assert fluxes["flux_lsst_baseline_g"].value.tolist() == [-20, 99]


def test_errors_may_be_absent_and_dust_is_left_to_the_model():
    columns = PhotometryColumns(
        ("g", "r"), ("", ""), ("lsst_baseline_g", "lsst_baseline_r"), ebv_col="ebv"
    )
    fluxes, ebv = columns.read(table(ebv=[0.1, 0.2]))
    assert fluxes["flux_err_lsst_baseline_g"].mask.all()
    assert ebv.tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"filters": ("lsst_baseline_g",)}, InputSpecError, "each of the 2 'bands'"),
        ({"err_bands": ("g_err",)}, InputSpecError, "'err_bands' must have one"),
        ({"filters": ("decam_g", "decam_g")}, InputSpecError, "must differ"),
        ({"filters": ("decam_g", "none_r")}, MissingBandError, "none_r"),
    ],
)
def test_parameters_that_do_not_fit(changed, error, message):
    facts = {"bands": GR.bands, "err_bands": GR.err_bands, "filters": GR.filters}
    with pytest.raises(error, match=message):
        PhotometryColumns(**facts | changed)


def test_a_column_that_is_not_there():
    with pytest.raises(KeyError, match="no column 'r', 'r_err'; there are g, g_err"):
        GR.read({"g": np.ones(2), "g_err": np.ones(2)})


def test_a_model_travels_with_its_zero_points(tmp_path):
    bands = get_bands(["lsst_baseline_g", "lsst_baseline_r"])
    points = ZeroPoints(
        bands, [0.1, -0.1] * u.mag, [0.02, 0.03] * u.mag, [0.0, 0.1], [90, 80], bands
    )
    path = tmp_path / "model.safetensors"
    photoz = PhotoZ.from_pretrained("any-band")
    InformedModel(photoz, points).write(path)
    back = InformedModel.read(path)
    assert str(back.zero_points) == str(points)
    fluxes, _ = GR.read(table())
    expected = photoz.predict(fluxes, ebv=0.0).probability
    assert (
        PhotoZ.from_file(path).predict(fluxes, ebv=0.0).probability == expected
    ).all()
    assert back.photoz.card.reference is not None


def test_a_model_without_zero_points_has_none(tmp_path):
    path = tmp_path / "model.safetensors"
    InformedModel(PhotoZ.from_pretrained("any-band")).write(path)
    assert InformedModel.read(path).zero_points is None


def test_no_model(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"pickled")
    with pytest.raises(FetchError, match="cut short or no safetensors"):
        InformedModel.read(tmp_path / "model.safetensors")


@pytest.mark.parametrize("kind", ["interp", "hist"])
def test_a_grid_keeps_probability(kind):
    pdf = RedshiftPDF.from_gaussians(np.linspace(0, 3, 601), [0.5, 1.2], [0.03, 0.1])
    ensemble, beyond = on_grid(pdf, 0.0, 3.0, 301, kind=kind)
    assert np.abs(beyond).max() < 1e-12
    if kind == "interp":
        total = np.trapezoid(
            ensemble.objdata["yvals"], np.ravel(ensemble.metadata["xvals"])
        )
    else:
        total = ensemble.objdata["pdfs"] @ np.diff(np.ravel(ensemble.metadata["bins"]))
    assert np.allclose(total, 1)
    assert np.allclose(np.ravel(ensemble.median()), pdf.median().value, atol=2e-3)


def test_probability_beyond_the_grid_is_told():
    pdf = RedshiftPDF([0.0, 1.0, 2.0, 4.0], [[0.5, 0.25, 0.25], [0, 0, 1]])
    ensemble, beyond = on_grid(pdf, 0.0, 2.0, 2, kind="hist")
    assert beyond.tolist() == [0.25, 1.0]
    assert np.allclose(ensemble.objdata["pdfs"], [[2 / 3, 1 / 3], [0.5, 0.5]])
