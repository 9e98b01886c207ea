"""`PhotoZ` with a network of any bands: all that one does with a model."""

import re
from dataclasses import replace
from functools import partial

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.table import QTable, vstack

from mantis_astro import (
    Flag,
    MultibandCutout,
    PhotoZ,
    decode_flags,
    measure_photometry,
)
from mantis_astro.bands import register_filter, unregister_filter
from mantis_astro.cli import main
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models import (
    BandSetConfig,
    BandSetSpec,
    ModelCard,
    build_network,
    list_models,
    shapley_values,
)
from mantis_astro.photometry import Circular
from mantis_astro.refitting import feature_table
from mantis_astro.tables import read_table
from mantis_astro.training import TableData, TrainingConfig, finetune

from .made import make_galaxy

EDGES = np.linspace(0, 1.2, 31)


@pytest.fixture(scope="module")
def photoz():
    """A model that nothing was trained on."""
    config = BandSetConfig(len(EDGES) - 1, width=32, n_blocks=2, hidden=48)
    card = ModelCard("tiny-any-band", config, BandSetSpec(), tuple(EDGES))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PhotoZ(build_network(config), card)


def made_table(n=600, seed=2, bands=("decam_g", "decam_r", "decam_z", "wise_w1")):
    """Galaxies whose colours follow their redshift."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.05, 1.1, n)
    table = QTable({"ra": rng.uniform(0, 40, n), "dec": rng.uniform(-20, 20, n)})
    bright = rng.uniform(17, 21, n)
    for j, band in enumerate(bands):
        mag = bright - j * (0.3 + 0.8 * z) + rng.normal(0, 0.03, n)
        flux = 3631e9 * 10 ** (-0.4 * mag)
        flux[rng.random(n) < 0.1] = np.nan
        table[f"flux_{band}"] = flux * u.nJy
        table[f"flux_err_{band}"] = 0.03 * flux * u.nJy
    table["ebv"], table["z_spec"] = rng.uniform(0, 0.1, n), z
    return table


@pytest.fixture(scope="module")
def table():
    return made_table()


@pytest.fixture(scope="module")
def tuned(photoz, table):
    return finetune(photoz, table, table["z_spec"], ebv=table["ebv"], steps=60)


def test_it_says_what_it_is(photoz):
    said = "<PhotoZ tiny-any-band: band_set_network of any bands, z = 0 to 1.2>"
    assert repr(photoz) == said
    assert photoz.card.is_photometric
    assert photoz.provenance()["PZBANDS"] == "any"


def test_a_file_of_it_travels(photoz, table, tmp_path):
    path = tmp_path / "any.safetensors"
    photoz.save(path)
    again = PhotoZ.from_file(path)
    assert again.card.spec == photoz.card.spec
    assert again.card.network == photoz.card.network
    pdf, other = (p.predict(table, ebv=table["ebv"]) for p in (photoz, again))
    assert np.array_equal(pdf.probability, other.probability)


def test_predictions_say_which_bands_they_rest_on(photoz, table):
    pdf = photoz.predict(table, ebv=table["ebv"])
    assert pdf.meta["PZBANDS"] == "decam_g, decam_r, decam_z, wise_w1"
    assert np.allclose(pdf.probability.sum(1), 1, atol=1e-5)
    turned = table[table.colnames[::-1]]
    other = photoz.predict(turned, ebv=table["ebv"])
    assert np.array_equal(pdf.probability, other.probability)


def test_redshifts_are_added_to_a_table(photoz, table):
    added = photoz.add_redshifts(table)
    assert added.meta["PZBANDS"] == "decam_g, decam_r, decam_z, wise_w1"
    observed = [
        np.isfinite(table[f"flux_{b}"]) for b in added.meta["PZBANDS"].split(", ")
    ]
    assert np.array_equal(added["bands_used"], np.stack(observed, 1))
    pdf = photoz.predict(table, ebv=table["ebv"])
    assert np.array_equal(added["pz"], pdf.probability)
    assert ((added["p_star"] > 0) & (added["p_star"] < 1)).all()
    assert not any("MISSING" in name for name in decode_flags(int(added["flags"][0])))


def test_the_column_of_ebv_is_read_by_all_methods_alike(photoz, table):
    some, options = table[:40], {"steps": 1, "progress": False}

    def answers(**ebv):
        tuned, _ = finetune(photoz, some, some["z_spec"], **ebv, **options)
        return [
            photoz.add_redshifts(some, **ebv)["pz"],
            photoz.predict(some, **ebv).probability,
            photoz.features(some, **ebv),
            feature_table(photoz, some, **ebv)["features"],
            tuned.predict(some, ebv=0.0).probability,
        ]

    found, given, named = (
        answers(**ebv) for ebv in ({}, {"ebv": some["ebv"]}, {"ebv": "ebv"})
    )
    for values, expected, same in zip(found, given, named, strict=True):
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(same, expected)
    without, _ = finetune(photoz, some, some["z_spec"], ebv=0.0, **options)
    assert (without.predict(some, ebv=0.0).probability != found[-1]).any()


def test_rows_without_anything_are_told(photoz, table):
    few = table[:3].copy()
    for name in few.colnames:
        if name.startswith("flux"):
            few[name][1] = np.nan
    few["ebv"][2] = np.nan
    added = photoz.add_redshifts(few)
    assert decode_flags(int(added["flags"][1])) == ["NO_DATA"]
    assert "EBV_ASSUMED" in decode_flags(int(added["flags"][2]))
    assert added["p_star"].mask.tolist() == [False, True, False]
    assert added["bands_used"][1].tolist() == [False] * 4


def test_an_interrupted_table_goes_on(photoz, table, tmp_path):
    journal = tmp_path / "rows"
    first = photoz.add_redshifts(table, resume=journal)
    again = photoz.add_redshifts(table, resume=journal)
    for name in ("pz", "p_star", "flags", "bands_used", "z_median"):
        assert np.array_equal(first[name], again[name])


def test_columns_may_be_chosen(photoz, table):
    added = photoz.add_redshifts(table[:5], columns=["z_median", "p_star"])
    assert added.colnames[-2:] == ["z_median", "p_star"]


def test_other_models_have_no_such_columns():
    known = next(card for card in list_models() if card.spec.kind == "photometry")
    shipped = PhotoZ.from_pretrained(known.name)
    table = made_table(3, bands=("ps1_g", "ps1_r"))
    added = shipped.add_redshifts(table)
    assert not {"p_star", "bands_used"} & set(added.colnames)
    with pytest.raises(ValueError, match="'columns' may hold"):
        shipped.add_redshifts(table, columns=["p_star"])


def test_half_of_the_rows_may_be_of_another_survey(photoz):
    one, other = made_table(50), made_table(50, 3, ("sdss_g0", "sdss_r0", "sdss_z0"))
    both = vstack([one, other])  # masked where a table lacks a column
    pdf = photoz.predict(both, ebv=0.02)
    alone = [photoz.predict(t, ebv=0.02).probability for t in (one, other)]
    assert np.array_equal(pdf.probability, np.concatenate(alone))


def test_one_band_is_enough(photoz, table):
    added = photoz.add_redshifts(table["flux_decam_r", "flux_err_decam_r", "ebv"])
    has_data = np.isfinite(table["flux_decam_r"])
    assert np.array_equal(added["z_median"].mask, ~has_data)


def test_errors_may_be_absent(photoz, table):
    bare = table[[c for c in table.colnames if "err" not in c]]
    pdf = photoz.predict(bare, ebv=0.02)
    assert np.isfinite(pdf.probability).all()
    assert not np.array_equal(
        pdf.probability, photoz.predict(table, ebv=0.02).probability
    )


def test_a_curve_that_sedpy_lacks_can_be_given(photoz, table):
    register_filter("narrow_921", [9140, 9145, 9275, 9280], [0, 1, 1, 0])
    try:
        more = table[:5].copy()
        more["flux_narrow_921"] = more["flux_decam_z"]
        pdf = photoz.predict(more, ebv=0.02)
        assert "narrow_921" in pdf.meta["PZBANDS"]
    finally:
        unregister_filter("narrow_921")


def test_a_table_without_bands_is_refused(photoz):
    with pytest.raises(InputSpecError, match="no column such as 'flux_ps1_g'"):
        photoz.add_redshifts(QTable({"ra": [1.0], "dec": [2.0]}))


def test_it_learns_from_spectra(photoz, table, tuned):
    better, report = tuned
    assert report.improved
    assert report.after["sigma_nmad"] < 0.5 * report.before["sigma_nmad"]
    assert replace(better.card.spec, ranges=None) == photoz.card.spec
    assert better.card.reference is not None
    more = made_table(50, 7, ("sdss_g0", "sdss_r0", "sdss_z0"))
    assert np.isfinite(better.predict(more, ebv=0.02).probability).all()


def test_the_rest_of_what_models_do(tuned, table, tmp_path):
    better, _ = tuned
    features = better.features(table, ebv=table["ebv"])
    assert features.shape == (len(table), 48)
    refitted, report = better.refit(
        table, table["z_spec"], ebv=table["ebv"], alphas=[0.1], n_bootstrap=50
    )
    assert report.accepted == (refitted is not better)
    shift = better.shift_report(table, ebv=table["ebv"], rng=0, n_permutation=100)
    assert shift.n_target > 500
    near = better.explain(table[:2], features, ebv=table["ebv"][:2])
    assert len(near) == 10


def test_a_table_trains_one(tmp_path, table):
    path = tmp_path / "galaxies.fits"
    table.write(path)
    config = TrainingConfig(
        name="own",
        network=BandSetConfig(len(EDGES) - 1, width=16, n_heads=2, hidden=16),
        spec=BandSetSpec(),
        z_edges=tuple(EDGES),
        data=TableData(str(path), ebv=("ebv",)),
        n_steps=5,
    )
    data = config.data.open(config)
    batch = data.batch(0, 32).encoded(config.spec)
    assert batch.images.shape == (32, 4, BandSetSpec.n_token)


def test_measurements_outside_what_was_learnt_are_told(tuned, table):
    better, _ = tuned
    flagged = better.add_redshifts(table)["flags"] & int(Flag.OOD_FEATURE)
    assert (flagged != 0).mean() < 0.1
    strange = table[:3].copy()
    strange["flux_wise_w1"][1] *= 1e5
    strange["flux_decam_g"][2] = strange["flux_decam_r"][2] = np.nan
    strange["flux_decam_z"][2] = np.nan
    added = better.add_redshifts(strange)
    flags = [decode_flags(int(flags)) for flags in added["flags"]]
    assert ["OOD_FEATURE" in names for names in flags] == [False, True, True]
    reasons = better.list_outside(strange)
    of_first = reasons[reasons["row"] == 1]
    assert "wise_w1" in of_first["band"]
    assert any("magnitude" in reason for reason in of_first["reason"])
    assert "bluest" in reasons[reasons["row"] == 2]["quantity"]


def test_a_shift_is_named_by_bands(tuned, table):
    better, _ = tuned
    faint = table.copy()
    for name in ("flux_wise_w1", "flux_err_wise_w1"):
        faint[name] = faint[name] / 10
    report = better.shift_report(faint, ebv="ebv", rng=0, n_permutation=100)
    first = report.inputs[0]
    assert first["band"] == "wise_w1"
    assert "wise_w1" in report.verdict
    of_bands = report.verdict.split("Most different from what was learnt: ")[1]
    assert "wise_w1" in of_bands.split(". ")[0]
    assert not re.search(r"feature \d", report.verdict)
    assert str(report).endswith(report.inputs[:10].pformat(max_width=-1)[-1])


def test_without_ranges_there_is_nothing_to_list(photoz, table):
    with pytest.raises(InputSpecError, match="does not know which magnitudes"):
        photoz.list_outside(table)


def test_images_are_measured_first_in_whatever_bands_there_are(photoz):
    cutouts = [
        make_galaxy(bands=["ps1.r", "ps1.i", "galex.NUV"], amplitude=50.0),
        make_galaxy(bands=["ps1.g", "unwise.W1"], seed=1),
        MultibandCutout(SkyCoord(1, 2, unit="deg"), {}),
    ]
    pdf = photoz.predict(cutouts, ebv=[0.01, 0.02, 0.03])
    circle = Circular(3 * u.arcsec)
    table = measure_photometry(cutouts, aperture=circle, deblend=None)
    expected = photoz.predict(table, ebv=[0.01, 0.02, 0.03])
    np.testing.assert_array_equal(pdf.probability, expected.probability)
    assert (pdf.probability[0] != pdf.probability[1]).any()
    assert set(pdf.meta["PZBANDS"].split(", ")) == {
        *("galex.NUV", "ps1.g", "ps1.r", "ps1.i", "unwise.W1")
    }
    flags = decode_flags(pdf.flags)
    assert ["NO_DATA" in names for names in flags] == [False, False, True]


def test_images_of_nothing_are_flagged_and_uniform(photoz):
    nothing = MultibandCutout(SkyCoord(1, 2, unit="deg"), {})
    pdf = photoz.predict(nothing)
    assert "NO_DATA" in decode_flags(pdf.flags)
    np.testing.assert_allclose(pdf.density, 1 / 1.2, rtol=1e-5)
    assert photoz.predict([]).shape == (0,)


def test_a_model_of_any_bands_has_no_shares_of_its_own(photoz, table):
    with pytest.raises(InputSpecError, match="leave some out of the table"):
        shapley_values(photoz, table)


def test_the_command_line_predicts_with_it(photoz, table, tmp_path):
    photoz.save(tmp_path / "any.safetensors")
    table.write(tmp_path / "in.ecsv")
    given, model, output = (
        str(tmp_path / name) for name in ("in.ecsv", "any.safetensors", "out.fits")
    )
    assert main(["predict", given, "--model", model, "-o", output, "--quiet"]) == 0
    written = read_table(output)
    expected = photoz.add_redshifts(table)
    assert np.array_equal(written["bands_used"], expected["bands_used"])
    assert np.allclose(written["p_star"], expected["p_star"])
    assert written.meta["PZBANDS"] == expected.meta["PZBANDS"]


@pytest.mark.parametrize(
    "method", ["predict", "features", "refit", "recalibrate", "finetune", "adapt"]
)
def test_a_frame_and_a_row_are_told_to_be_no_table(photoz, table, method):
    methods = {"finetune": partial(finetune, photoz)}
    call = methods.get(method) or getattr(photoz, method)
    z = [table["z_spec"][:2]] if method in ("refit", "recalibrate", "finetune") else []
    for wrong in (table[0], table[:2]["flux_decam_g",].to_pandas()):
        with pytest.raises(TypeError, match="'data' must be a MultibandCutout"):
            call(wrong, *z)


@pytest.mark.parametrize("method", ["refit", "recalibrate"])
def test_wrong_redshifts_are_told_before_the_images_come(photoz, method):
    positions = QTable({"ra": [1.0, 2.0], "dec": [3.0, 4.0]})
    call = partial(getattr(photoz, method), positions, source=NoSky())
    with pytest.raises(ValueError, match=r"expected shape \(2,\), got \(1,\)"):
        call([0.1])
    with pytest.raises(ValueError, match="must be plain numbers, such as table"):
        call("z_spec")


class NoSky:
    def iter_cutouts(self, coords, bands):
        raise AssertionError((coords, bands))
