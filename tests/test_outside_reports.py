"""What users of other packages ran into, and what this package makes of the same."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    StdDevUncertainty,
    VarianceUncertainty,
)
from astropy.table import QTable, Table, vstack
from astropy.utils.metadata import MergeConflictWarning

from mantis_astro import (
    MultibandCutout,
    RedshiftPDF,
    common_wcs,
    decode_flags,
    evaluate,
    measure_photometry,
)
from mantis_astro.cutouts import read_cutout
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.fluxes import read_fluxes
from mantis_astro.photometry import mag_ab_to_flux
from mantis_astro.tables import read_table, write_table

EDGES = np.linspace(0, 1, 11)
PDF = RedshiftPDF.from_gaussians(EDGES, [0.25, 0.65], 0.05)
HERE = SkyCoord(150.1, 2.2, unit="deg")
GRID = common_wcs(HERE, (60, 60), 0.25 * u.arcsec)


def test_magnitudes_of_99_and_of_minus_99_are_no_fluxes():
    """LSSTDESC/rail_attic 86 and 96: BPZ's -99 not observed, 99 not detected."""
    flux = mag_ab_to_flux(np.array([20.0, 99.0, -99.0]))
    assert flux[0].to_value(u.nJy) == pytest.approx(36307.8, rel=1e-4)
    assert np.isnan(flux[1:]).all()


@pytest.mark.parametrize("z_spec", [-99.0, -9999.0, 99.0, 999.0, -1.0, np.inf])
def test_redshifts_that_no_galaxy_has_are_left_out(z_spec):
    """mhardcastle/lotss-catalogue 30: -99 in plots and statistics of redshifts."""
    table = evaluate(PDF, [0.25, z_spec])
    assert table["n"][0] == 1
    assert table["n_no_z_spec"][0] == 1
    assert abs(table["bias_mean"][0]) < 0.01


def test_big_endian_columns_are_numbers_as_others():
    """astropy/astropy 1156 and 4069: columns of FITS files have their bytes swapped."""
    table = PDF.to_table()
    for name in ("pz", "flags"):
        swapped = table[name].dtype.newbyteorder(">")
        table[name] = np.asarray(table[name]).astype(swapped)
    again = RedshiftPDF.from_table(table, bin_edges=EDGES)
    np.testing.assert_array_equal(again.probability, PDF.probability.astype("f4"))
    fluxes = Table({"flux_ps1_g": np.array([5.0], ">f4")})
    fluxes["flux_err_ps1_g"] = np.array([1.0], ">f4")
    assert read_fluxes(fluxes, ["ps1.g"], default_unit=u.nJy).flux.tolist() == [[5.0]]


@pytest.mark.parametrize("ending", ["fits", "ecsv", "parquet", "hdf5", "csv", "vot"])
def test_both_byte_orders_in_one_table_are_written_right(tmp_path, ending):
    """atpy/atpy 29: the column of the other order became 1e-319."""
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    if ending == "hdf5":
        pytest.importorskip("h5py")
    table = QTable({"a": np.array([1.5, 2], "<f8"), "b": np.array([1.5, 2], ">f8")})
    table["c"] = np.array([3, 4], ">i4")
    write_table(table, tmp_path / f"t.{ending}")
    again = read_table(tmp_path / f"t.{ending}")
    assert again["a"].tolist() == again["b"].tolist() == [1.5, 2]
    assert again["c"].tolist() == [3, 4]


@pytest.mark.parametrize("unit", ["ADU", "Count   ", "COUNTS", "DN"])
def test_units_of_headers_are_read_in_any_case(tmp_path, unit):
    """astropy/ccdproc 177, gammapy/gammapy 1755: 'ADU' and 'Count' did not parse."""
    path = tmp_path / "x_ps1.g.fits"
    header = GRID.to_header()
    header["BUNIT"], header["EXPTIME"] = unit, 600.0
    fits.PrimaryHDU(np.ones((60, 60), "f4"), header).writeto(path)
    assert read_cutout(path, "ps1.g").unit == u.adu


def test_another_unit_than_the_surveys_is_refused_in_words(tmp_path):
    """astropy/astropy 7608: 'ELECTRONS' of HST ended in a parser's error."""
    path = tmp_path / "x_ps1.g.fits"
    header = GRID.to_header()
    header["BUNIT"] = "ELECTRONS"
    fits.PrimaryHDU(np.ones((60, 60), "f4"), header).writeto(path)
    with pytest.raises(InputSpecError, match="are in adu, the header says ELECTRONS"):
        read_cutout(path, "ps1.g")


UNCERTAINTIES = {
    "std": StdDevUncertainty(np.full((60, 60), 1e-3), unit=u.mJy),
    "var": VarianceUncertainty(np.full((60, 60), 1e-6), unit=u.mJy**2),
    "ivar": InverseVariance(np.full((60, 60), 1e6), unit=u.mJy**-2),
}


@pytest.fixture
def image():
    """Pixels and errors of 1 uJy."""
    noise = np.random.default_rng(0).normal(0, 1, (60, 60))
    error = StdDevUncertainty(np.ones((60, 60)))
    return CCDData(noise, unit=u.uJy, wcs=GRID, uncertainty=error)


def flux_err(image):
    cutouts = MultibandCutout(HERE, {"ps1.g": image})
    table = measure_photometry(cutouts, aperture=2 * u.arcsec)
    return float(np.asarray(table["flux_err_ps1_g"])[0])


@pytest.mark.parametrize("kind", UNCERTAINTIES)
def test_errors_in_another_unit_than_the_pixels_are_converted(image, kind, tmp_path):
    """astropy/photutils 1285: data and errors of different units went unnoticed."""
    expected = flux_err(image)
    image.uncertainty = UNCERTAINTIES[kind]
    assert flux_err(image) == pytest.approx(expected)
    path = tmp_path / "cutouts.fits"
    MultibandCutout(HERE, {"ps1.g": image}).write(path)
    assert flux_err(MultibandCutout.read(path)["ps1.g"]) == pytest.approx(expected)


def test_a_mask_on_pixels_of_integers_keeps_a_hot_one_out():
    """astropy/photutils 144 and 267: masks not used, or in the way of integers."""
    data = np.full((60, 60), 10, np.int16)
    data[30, 30] = 30_000
    facts = {"exposure_time": 1.0, "zero_point_ab": 25.0}
    image = CCDData(data, unit=u.adu, wcs=GRID, mask=data > 100, meta=facts)
    cutouts = MultibandCutout(HERE, {"ps1.g": image})
    table = measure_photometry(cutouts, aperture=2 * u.arcsec)
    assert abs(np.asarray(table["flux_ps1_g"])[0]) < 1e-6


def test_stacking_with_a_table_without_rows_changes_no_density():
    """astropy/astropy 8027: vstack with an empty table masks columns."""
    again = RedshiftPDF.from_table(vstack([PDF.to_table(), Table()]))
    np.testing.assert_allclose(again.median(), PDF.median(), atol=1e-6)
    assert again.flags.tolist() == [0, 0]
    longer = RedshiftPDF.from_table(vstack([PDF.to_table(), Table({"id": [7]})]))
    assert [decode_flags(flags) for flags in longer.flags] == [[], [], ["NO_DATA"]]


@pytest.mark.parametrize("ending", [None, "ecsv", "hdf5"])
def test_densities_on_two_grids_are_not_read_on_one(tmp_path, ending):
    """astropy/astropy 1343: of metadata that differ, vstack keeps the last."""
    tables = [PDF.to_table(), RedshiftPDF(2 * EDGES, PDF.probability).to_table()]
    if ending == "hdf5":
        pytest.importorskip("h5py")
    if ending is not None:
        for i, table in enumerate(tables):
            write_table(table, tmp_path / f"{i}.{ending}")
        tables = [read_table(tmp_path / f"{i}.{ending}") for i in range(2)]
    with pytest.warns(MergeConflictWarning):
        stacked = vstack(tables)
    with pytest.raises(ValueError, match="stacked from densities on different bins"):
        RedshiftPDF.from_table(stacked)
    one = RedshiftPDF.from_table(vstack([tables[0], tables[0]]))
    np.testing.assert_allclose(one.median()[:2], PDF.median(), atol=1e-6)


def test_a_density_that_is_zero_everywhere_is_no_data():
    """LSSTDESC/rail_attic 78: a chi2 so large that exp(-chi2 / 2) is 0."""
    z = np.linspace(0, 1, 11)
    density = np.stack([np.zeros(11), np.ones(11)])
    with pytest.raises(ValueError, match="row 0"):
        RedshiftPDF.from_grid(z, density)
    flagged = RedshiftPDF.from_grid(z, density, bad="flag")
    assert flagged.flags.tolist() == [Flag.NO_DATA, 0]
    assert np.isfinite(flagged.median()).all()


def test_the_word_null_in_csv_is_a_missing_number(tmp_path):
    """astronomy-commons/hats-import 231: Gaia's archive writes null for missing."""
    path = tmp_path / "gaia.csv"
    path.write_text("id,ra,g,n\na,10.0,null,3\nb,11.0,5.5,null\nc,12.0,,4\n")
    table = read_table(path)
    assert table["g"].dtype.kind == "f"
    assert table["g"].mask.tolist() == [True, False, True]
    assert table["n"].dtype.kind == "i"
    assert table["n"].mask.tolist() == [False, True, False]
    again = tmp_path / "own.csv"
    write_table(QTable({"name": ["null", "NGC 1"]}), again)
    assert read_table(again)["name"].tolist() == ["null", "NGC 1"]  # a text of ours


def test_nulls_of_parquet_are_masked_and_integers_stay_integers(tmp_path):
    """lsst/daf_butler 974: which number stands under a mask decides what is read."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    large = 2**60 + 1  # no float64
    columns = {
        "id": pyarrow.array([large, None, 3], pyarrow.int64()),
        "byte": pyarrow.array([1, None, 255], pyarrow.uint8()),
        "good": pyarrow.array([True, None, False]),
        "name": pyarrow.array(["a", None, ""], pyarrow.large_string()),
        "kind": pyarrow.array(["a", None, "b"]).dictionary_encode(),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    for name in columns:
        assert table[name].mask.tolist() == [False, True, False], name
    assert table["id"][0] == large
    assert table["byte"].dtype == np.uint8
    assert table["good"].dtype == bool
    assert table["name"][2] == ""
