"""Statistics beside the weights; scores and flags in tables of redshifts."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import safetensors
import torch
from astropy.table import QTable, Table

from mantis_astro import Flag, PhotoZ, RedshiftPDF
from mantis_astro.bands import get_band
from mantis_astro.cli import main
from mantis_astro.exceptions import (
    InputSpecError,
    OutOfDistributionWarning,
)
from mantis_astro.models import load_model, predict_both, predict_probability
from mantis_astro.models.reference_files import (
    PREFIX,
    REFERENCE_KEY,
    encoder_sha256,
    read_reference,
    write_reference,
)
from mantis_astro.photometry import column_suffix
from mantis_astro.shift import ShiftReport
from mantis_astro.shift.support import Support
from mantis_astro.simulation.server.made_spectra import draw_made_galaxies, made_fluxes
from mantis_astro.tables import read_table, write_table

from ..made import MadeSky


def galaxies(n, seed, fainter=0.0):
    """Fluxes of made galaxies in the columns that a photometric model reads."""
    rng = np.random.default_rng(seed)
    bands = [get_band(band) for band in CARD.bands]
    z, kind, mag_i = draw_made_galaxies(n, rng)
    flux = made_fluxes(z, kind, mag_i + fainter, bands)
    table = QTable({"ebv": np.full(n, 0.02)})
    for band, values in zip(bands, flux.T, strict=True):
        error = 0.05 * values
        noisy = values + rng.normal(0, error)
        table[f"flux_{column_suffix(band)}"] = noisy
        table[f"flux_err_{column_suffix(band)}"] = error
        table[f"flux_{column_suffix(band)}"].unit = "nJy"
        table[f"flux_err_{column_suffix(band)}"].unit = "nJy"
    return table


CARD = PhotoZ.from_pretrained("simulated-photometric").card


@pytest.fixture(scope="module")
def plain():
    network, card = load_model("simulated-photometric")
    return PhotoZ(network, dataclasses.replace(card, reference=None))


@pytest.fixture(scope="module")
def photoz(plain):
    sample = galaxies(1500, 0)
    return plain.with_reference(
        plain.features(sample), rng=0, z_spec=np.full(1500, 0.3), n_vector=400
    )


def test_the_copy_knows_its_training_set_and_the_original_does_not(plain, photoz):
    assert plain.card.reference is None
    assert photoz.network is plain.network
    reference = photoz.card.reference
    assert reference.n_object == 1500
    assert reference.sample == plain.card.training_sample
    assert reference.encoder == encoder_sha256(plain.network)
    assert photoz.card == plain.card  # statistics are no part of a card's identity


@pytest.mark.parametrize("shape", [(100, 3), (100,)])
def test_features_of_another_width_are_refused(plain, shape):
    with pytest.raises(InputSpecError, match="must be those of 'simulated-photom"):
        plain.with_reference(np.ones(shape), rng=0)


class TestFiles:
    def test_they_come_back_with_the_weights(self, photoz, tmp_path):
        path = tmp_path / "mine.safetensors"
        photoz.save(path)
        network, card = load_model(path)
        features = photoz.features(galaxies(20, 1))
        np.testing.assert_array_equal(
            card.reference.ood_score(features),
            photoz.card.reference.ood_score(features),
        )
        assert card.reference.z_range.tolist() == [0.3, 0.3]
        assert encoder_sha256(network) == card.reference.encoder

    def test_the_card_stays_small_and_the_arrays_are_tensors(self, photoz, tmp_path):
        path = tmp_path / "mine.safetensors"
        photoz.save(path)
        with safetensors.safe_open(path, "pt") as stream:
            names = [n for n in stream.keys() if n.startswith("reference.")]  # noqa: SIM118
            card = stream.metadata()["mantis_astro.card"]
        assert "reference.vectors" in names
        assert "vectors" not in card
        reference = photoz.card.reference
        extra = path.stat().st_size - sum(
            p.numel() * 4 for p in photoz.network.state_dict().values()
        )
        assert reference.nbytes < extra < reference.nbytes + 20_000

    def test_files_without_them_still_load(self, plain, tmp_path):
        path = tmp_path / "old.safetensors"
        plain.save(path)
        assert load_model(path)[1].reference is None

    def test_those_of_other_weights_are_not_saved(self, photoz, tmp_path):
        network, card = load_model("simulated-photometric")
        card = dataclasses.replace(card, reference=photoz.card.reference)
        with torch.no_grad():
            network.fc1.weight += 1  # a new last layer reads the same features
        PhotoZ(network, card).save(tmp_path / "refitted.safetensors")
        with torch.no_grad():
            network.fc0.weight += 1e-3
        tuned = PhotoZ(network, card)
        with pytest.raises(InputSpecError, match="features of another encoder"):
            tuned.save(tmp_path / "tuned.safetensors")


def test_statistics_of_an_earlier_version_are_left_out_with_a_word(photoz, caplog):
    tensors, metadata = write_reference(photoz.card.reference, photoz.network)
    facts = json.loads(metadata[REFERENCE_KEY])
    del facts["error"], facts["error_threshold"]
    arrays = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    with caplog.at_level(logging.WARNING, "mantis_astro"):
        assert read_reference(arrays, {REFERENCE_KEY: json.dumps(facts)}) is None
    assert "make them again with PhotoZ.with_reference" in caplog.text
    whole = read_reference(arrays, metadata)
    assert whole.support == photoz.card.reference.support


class TestPredictions:
    def test_they_are_the_same_to_the_bit(self, plain, photoz):
        table = galaxies(30, 2)
        expected, found = plain.predict(table), photoz.predict(table)
        np.testing.assert_array_equal(found.probability, expected.probability)
        ood = found.flags & int(Flag.OOD_FEATURE)
        np.testing.assert_array_equal(found.flags ^ ood, expected.flags)

    @pytest.mark.parametrize("dihedral", [False, True])
    def test_both_in_one_run_are_each_alone(self, dihedral):
        network, _ = load_model("simulated-early")
        rng = torch.Generator().manual_seed(0)
        images, ebv = torch.randn(11, 9, 32, 32, generator=rng), torch.zeros(11, 2)
        probability, features = predict_both(network, images, ebv, dihedral=dihedral)
        np.testing.assert_array_equal(
            probability, predict_probability(network, images, ebv, dihedral=dihedral)
        )
        assert features.shape == (11, network.fc1.in_features)

    def test_scores_are_those_of_the_features_and_flags_follow(self, photoz):
        table = galaxies(60, 3)
        table["flux_ps1_r"][:5] *= 1e3  # no galaxy has such colours
        output = photoz.add_redshifts(table)
        score = photoz.card.reference.ood_score(photoz.features(table, ebv=0.02))
        np.testing.assert_allclose(output["ood_score"], score, rtol=1e-5)
        flagged = (output["flags"] & Flag.OOD_FEATURE) != 0
        np.testing.assert_array_equal(flagged, score > Flag.OOD_FEATURE.threshold)
        assert flagged[:5].all()
        assert flagged[5:].mean() < 0.15

    def test_a_score_at_the_threshold_is_not_flagged(self, photoz):
        """One in a hundred of the training set exceeds the threshold."""
        table, reference = galaxies(60, 3), photoz.card.reference
        features = photoz.features(table, ebv=0.02)

        def measure(threshold):
            support = Support("neighbours", threshold=threshold)
            return dataclasses.replace(reference, support=support)

        distance = measure(1.0).ood_score(features)
        middle = np.sort(distance)[30]
        card = dataclasses.replace(photoz.card, reference=measure(middle))
        output = PhotoZ(photoz.network, card).add_redshifts(table, ebv=0.02)
        flagged = (output["flags"] & Flag.OOD_FEATURE) != 0
        assert output["ood_score"][distance == middle] == Flag.OOD_FEATURE.threshold
        np.testing.assert_array_equal(flagged, distance > middle)

    def test_a_row_without_data_has_no_score(self, photoz):
        table = galaxies(4, 3)
        for name in table.colnames[1:]:
            table[name][2] = np.nan
        output = photoz.add_redshifts(table)
        assert output["ood_score"].mask.tolist() == [False, False, True, False]
        assert not output["flags"][2] & Flag.OOD_FEATURE

    def test_without_statistics_the_column_is_masked(self, plain):
        output = plain.add_redshifts(galaxies(3, 3))
        assert output["ood_score"].mask.all()
        names = output.colnames
        assert names.index("ood_score") == names.index("flags") - 1

    def test_the_column_says_what_it_is_and_survives_files(self, photoz, tmp_path):
        output = photoz.add_redshifts(galaxies(3, 3), columns=["ood_score", "flags"])
        assert "99 %" in output["ood_score"].info.description
        for name in ("a.ecsv", "a.fits", "a.parquet"):
            write_table(output, tmp_path / name)
            back = read_table(tmp_path / name)
            np.testing.assert_array_equal(back["ood_score"], output["ood_score"])


class TestDomain:
    def test_the_training_population_raises_no_alarm(self, photoz):
        output = photoz.add_redshifts(galaxies(150, 4))
        assert not (output["flags"] & Flag.OOD_DOMAIN).any()

    def test_a_shifted_sample_is_flagged_as_a_whole_with_a_warning(self, photoz):
        table = galaxies(150, 4, fainter=3)
        for name in table.colnames[1:]:
            table[name][7] = np.nan
        with pytest.warns(OutOfDistributionWarning, match=r"AUC [01]\.\d\d .*OOD_DOM"):
            output = photoz.add_redshifts(table)
        flagged = (output["flags"] & Flag.OOD_DOMAIN) != 0
        np.testing.assert_array_equal(flagged, np.arange(150) != 7)

    def test_few_rows_say_nothing_about_a_sample(self, photoz):
        output = photoz.add_redshifts(galaxies(49, 4, fainter=3))
        assert not (output["flags"] & Flag.OOD_DOMAIN).any()

    def test_one_row_many_times_is_no_sample(self, photoz, caplog):
        table = galaxies(1, 4)[np.zeros(60, int)]
        with caplog.at_level(logging.INFO, "mantis_astro"):
            output = photoz.add_redshifts(table)
        assert not (output["flags"] & Flag.OOD_DOMAIN).any()
        assert "not compared with the training set" in caplog.text

    def test_a_resumed_run_says_the_same(self, photoz, tmp_path):
        table = galaxies(150, 4, fainter=3)
        path = tmp_path / "rows"
        with pytest.warns(OutOfDistributionWarning):
            whole = photoz.add_redshifts(table, resume=path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
        with pytest.warns(OutOfDistributionWarning):
            resumed = photoz.add_redshifts(table, resume=path)
        for name in ("ood_score", "flags", "pz"):
            np.testing.assert_array_equal(resumed[name], whole[name])


class TestReports:
    def test_a_model_without_statistics_says_what_to_do(self, plain):
        with pytest.raises(InputSpecError, match=r"no statistics .*with_reference"):
            plain.shift_report(galaxies(50, 1), rng=0)

    def test_a_table_of_fluxes(self, photoz):
        report = photoz.shift_report(galaxies(120, 5), rng=0)
        assert not report.is_shifted
        report = photoz.shift_report(galaxies(120, 5, fainter=3), rng=0)
        assert report.severity == "strong"
        assert report.reference is photoz.card.reference

    def test_positions_and_cutouts_agree(self):
        early = PhotoZ.from_pretrained("simulated-early")
        rng = np.random.default_rng(0)
        features = rng.normal(size=(60, early.network.fc1.in_features))
        early = early.with_reference(features, rng=0)
        table = QTable({"ra": np.arange(9) * 1e-3, "dec": np.full(9, 1.0)})
        sky = MadeSky(broken=[4], order=reversed)
        report = early.shift_report(table, sky, rng=0)
        assert report.n_target == 8
        found = sorted(MadeSky(broken=[4]).iter_cutouts(_coords(table), CARD.bands))
        cutouts = [galaxy for _, galaxy, _ in found]
        again = early.shift_report(cutouts, rng=0)
        np.testing.assert_allclose(again.ood_score, report.ood_score, rtol=1e-5)


def _coords(table):
    from astropy.coordinates import SkyCoord

    return SkyCoord(table["ra"], table["dec"], unit="deg")


class TestCommand:
    @pytest.fixture
    def tables(self, tmp_path):
        rng = np.random.default_rng(0)
        paths = tmp_path / "training.ecsv", tmp_path / "mine.ecsv"
        for path, shift in zip(paths, (0, 1), strict=True):
            Table(
                {
                    "ra": rng.uniform(0, 360, 80),
                    "mag_r": rng.normal(20 + shift, 1, 80),
                    "g_r": rng.normal(0.6, 0.3, 80),
                    "z_spec": rng.random(80),
                }
            ).write(path)
        return list(map(str, paths))

    def test_two_tables_are_compared_by_their_shared_columns(
        self, tables, tmp_path, capsys
    ):
        training, mine = tables
        out, picture = tmp_path / "report.ecsv", tmp_path / "shift.png"
        arguments = ["shift", mine, "--reference", training, "-o", str(out)]
        assert main([*arguments, "--plot", str(picture)]) == 0
        printed = capsys.readouterr()
        assert printed.out.startswith(("Clear shift", "Strong shift"))
        assert "Mean: r fainter by " in printed.out
        assert "comparing mag_r, g_r" in printed.err
        assert read_table(out)["quantity"][0] == "domain_auc"
        assert picture.stat().st_size > 10_000

    def test_the_columns_can_be_chosen(self, tables, capsys):
        training, mine = tables
        arguments = ["shift", mine, "--reference", training, "--columns", "g_r"]
        assert main(arguments) == 0
        assert capsys.readouterr().out.startswith("No shift found")
        assert main([*arguments[:-1], "i_z"]) == 1
        assert "no column 'i_z'; there are ra, mag_r" in capsys.readouterr().err

    def test_a_model_with_statistics_compares_with_its_training_set(
        self, photoz, tmp_path, capsys
    ):
        model, table = tmp_path / "mine.safetensors", tmp_path / "table.ecsv"
        photoz.save(model)
        galaxies(60, 5, fainter=3).write(table)
        assert main(["shift", str(table), "--model", str(model)]) == 0
        assert capsys.readouterr().out.startswith("Strong shift: the 60 targets")

    @pytest.mark.parametrize("option", ["--columns", "--z-spec"])
    def test_columns_need_a_table_to_compare_with(self, tables, capsys, option):
        assert main(["shift", tables[1], option, "g_r"]) == 1
        assert f"'{option}' needs a '--reference' table" in capsys.readouterr().err

    def test_redshifts_of_the_reference_are_found_or_named(
        self, tables, capsys, monkeypatch
    ):
        training, mine = tables
        used = []
        compare = ShiftReport.compare

        def spy(*args, z_spec, **options):
            used.append(z_spec)
            return compare(*args, z_spec=z_spec, **options)

        monkeypatch.setattr(ShiftReport, "compare", spy)
        reference = read_table(training)
        arguments = ["shift", mine, "--reference", training]
        assert main(arguments) == 0
        assert main([*arguments, "--z-spec", "g_r"]) == 0
        np.testing.assert_array_equal(used[0], reference["z_spec"])
        np.testing.assert_array_equal(used[1], reference["g_r"])
        reference["z_spec"][3:] = -99
        write_table(reference, training, overwrite=True)
        assert main(arguments) == 0
        assert used[2] is None
        assert "z_spec of 77 reference objects is missing" in capsys.readouterr().err
        assert main([*arguments, "--z-spec", "z_spec"]) == 1
        assert "needs 10 objects with all features and a" in capsys.readouterr().err
        assert main([*arguments, "--z-spec", "z"]) == 1
        assert "no column 'z'" in capsys.readouterr().err


def test_a_density_table_has_no_score_of_its_own():
    assert "ood_score" not in RedshiftPDF([0, 1], [1]).to_table().colnames
