import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from mantis_astro import CutoutStore, SimulatedSky
from mantis_astro.cli import main
from mantis_astro.cutouts import NO_COVERAGE, OK, CutoutSource
from mantis_astro.services import SurveyCutouts, conf
from mantis_astro.simulation import LocalSky
from mantis_astro.tables import read_table


@pytest.fixture(scope="module")
def sky():
    return SimulatedSky(seed=3)


@pytest.fixture(scope="module")
def catalog(sky):
    return sky.catalog(6)


@pytest.fixture(scope="module")
def coords(catalog):
    return SkyCoord(catalog["ra"], catalog["dec"])


def pixels(cutout):
    return np.nan_to_num(cutout.data)


def test_it_is_a_source_of_cutouts(sky, coords):
    assert isinstance(sky, CutoutSource)
    found = list(sky.iter_cutouts(coords))
    assert [index for index, _, _ in found] == list(range(6))
    for _, cutouts, statuses in found:
        assert len(statuses) == 9
        assert {band for band, s in statuses.items() if s == OK} == set(cutouts)
        assert set(statuses.values()) <= {OK, NO_COVERAGE}


def test_an_image_is_the_same_whatever_else_is_asked_for(sky, coords):
    _, every, _ = list(sky.iter_cutouts(coords))[4]
    fresh = SimulatedSky(seed=3)
    ((_, alone, _),) = fresh.iter_cutouts(coords[4:5], ["ps1.r"])
    assert list(map(str, alone)) == ["ps1.r"]
    assert np.array_equal(pixels(alone["ps1.r"]), pixels(every["ps1.r"]))


def test_the_target_has_the_flux_of_the_catalogue(sky, catalog, coords):
    alone = SimulatedSky(seed=3, neighbours=False)
    bright = np.flatnonzero(catalog["mag_ps1_r"].value < 19)
    for _, cutouts, _ in alone.iter_cutouts(coords[bright], ["ps1.r"]):
        cutout = cutouts["ps1.r"]
        total = pixels(cutout).sum() * 10 ** (
            -0.4 * (cutout.meta["zero_point_ab"] - 31.4)
        )
        nearest = coords.separation(cutouts.coord).argmin()
        # the wings that a cutout of 42 arcsec does not hold, and noise
        assert total == pytest.approx(catalog["flux_ps1_r"][nearest].value, rel=0.2)


def test_a_row_of_the_catalogue_does_not_depend_on_others(sky, catalog):
    one = sky.catalog(1, start=4)
    for name in catalog.colnames:
        assert one[name][0] == catalog[name][4], name


def test_targets_are_where_surveys_look(sky):
    table = sky.catalog(2000)
    coords = SkyCoord(table["ra"], table["dec"])
    assert coords.dec.min() > -30 * u.deg
    assert np.abs(coords.galactic.b).min() > 20 * u.deg
    # evenly: as much sky above dec 30 as between -30 and 0, less the Galaxy
    assert np.mean(coords.dec > 30 * u.deg) == pytest.approx(1 / 3, abs=0.07)


def test_redshifts_at_positions_are_those_of_the_catalogue(sky, catalog, coords):
    assert sky.redshift(coords[2]) == catalog["z_spec"][2]
    assert np.array_equal(sky.redshift(coords.reshape(2, 3)).ravel(), catalog["z_spec"])


def test_pan_starrs_does_not_see_the_south(sky):
    south = SkyCoord([10.0], [-40.0], unit="deg")
    ((_, cutouts, statuses),) = sky.iter_cutouts(south, ["ps1.g", "unwise.W1"])
    assert [s.state for s in statuses.values()] == ["no_coverage", "ok"]
    assert list(map(str, cutouts)) == ["unwise.W1"]


def test_what_is_observed_is_known_without_images(sky, coords):
    observed = sky.observed(coords, ["galex.NUV", "ps1.g", "unwise.W1"])
    for i, _, statuses in sky.iter_cutouts(coords, ["galex.NUV", "ps1.g", "unwise.W1"]):
        assert observed[i].tolist() == [s == OK for s in statuses.values()]


def test_a_local_server_lists_only_images_that_there_are(sky):
    table = sky.catalog(200)
    bands = [f"ps1.{letter}" for letter in "grizy"]
    observed = sky.observed(SkyCoord(table["ra"], table["dec"]), bands)
    row = int(np.flatnonzero(~observed.all(axis=1))[0])  # 2 % lack a band
    with LocalSky(sky) as server, server.configure(conf):
        source = SurveyCutouts(progress=False)
        ((_, _, statuses),) = source.iter_cutouts(table[row : row + 1], bands)
    assert [s.state == "ok" for s in statuses.values()] == observed[row].tolist()
    assert all(s.state in {"ok", "no_coverage"} for s in statuses.values())


def test_a_copy_in_another_process_is_the_same(sky, catalog):
    copy = pickle.loads(pickle.dumps(sky))
    assert copy == sky
    assert copy.catalog(1)["z_spec"][0] == catalog["z_spec"][0]


def test_negative_numbers_are_refused(sky):
    with pytest.raises(ValueError, match="must not be negative, got -1 and 0"):
        sky.catalog(-1)


def test_a_local_server_serves_it(sky, catalog, coords):
    bands = ["galex.NUV", "ps1.g", "ps1.i", "unwise.W1"]
    direct = list(sky.iter_cutouts(coords[:2], bands))
    with LocalSky(sky) as server, server.configure(conf):
        source = SurveyCutouts(progress=False)
        served = list(source.iter_cutouts(coords[:2], bands, ordered=True))
        assert server.redshifts(coords[:2]) == pytest.approx(
            catalog["z_spec"][:2].value
        )
    for (_, ours, statuses), (_, theirs, _) in zip(direct, served, strict=True):
        for band, cutout in ours.items():
            assert statuses[band] == OK
            assert theirs[band].shape == cutout.shape
            assert pixels(theirs[band]) == pytest.approx(
                pixels(cutout), rel=1e-5, abs=1e-4
            )
            x, y = theirs[band].wcs.world_to_pixel(ours.coord)
            expected = cutout.wcs.world_to_pixel(ours.coord)
            # Pan-STARRS1 writes FK5 into its headers, up to 0.03 arcsec from ICRS
            assert np.hypot(x - expected[0], y - expected[1]) < 0.15
            assert theirs[band].meta["zero_point_ab"] == pytest.approx(
                cutout.meta["zero_point_ab"]
            )


def test_a_store_is_filled_and_resumed(sky, coords, tmp_path):
    with CutoutStore(tmp_path / "store", mode="a") as store:
        assert list(sky.fill_store(store, coords[:2], ["ps1.g"])) == [2]
        assert list(sky.fill_store(store, coords[:4], ["ps1.g"])) == [4]
        assert len(store) == 4
        assert not store.missing(coords[:4], ["ps1.g"]).any()


def test_the_command_writes_catalogue_and_store(tmp_path, capsys):
    arguments = ["simulate", "-n", "2", "--seed", "3", "--bands", "unwise.W1"]
    arguments += [
        "--catalog",
        str(tmp_path / "sky.ecsv"),
        "--store",
        str(tmp_path / "s"),
    ]
    assert main(arguments) == 0
    assert capsys.readouterr().out.count("2 galaxies") == 2
    table = read_table(tmp_path / "sky.ecsv")
    with CutoutStore(tmp_path / "s") as store:
        assert len(store) == 2
        assert not store.missing(
            SkyCoord(table["ra"], table["dec"]), ["unwise.W1"]
        ).any()


def test_the_command_goes_on_where_it_stopped(tmp_path, capsys):
    arguments = ["simulate", "--seed", "3", "--bands", "unwise.W1"]
    arguments += ["--store", str(tmp_path / "s")]
    assert main([*arguments, "-n", "1"]) == 0
    assert main([*arguments, "-n", "3"]) == 1
    assert "--resume adds what it lacks" in capsys.readouterr().err
    assert main([*arguments, "-n", "3", "--resume"]) == 0
    with CutoutStore(tmp_path / "s") as store:
        assert len(store) == 3


def test_the_command_wants_something_to_write(capsys):
    assert main(["simulate", "-n", "2"]) == 1
    assert (
        "nothing to write: give --catalog, --store or both" in capsys.readouterr().err
    )


def test_the_command_refuses_bands_without_images(tmp_path, capsys):
    store = tmp_path / "s"
    arguments = [
        "simulate",
        "-n",
        "2",
        "--bands",
        "legacysurvey.g",
        "--store",
        str(store),
    ]
    assert main(arguments) == 1
    assert "images are simulated of galex.NUV, " in capsys.readouterr().err
    assert not store.exists()


def test_an_empty_catalogue_has_its_columns(sky, catalog):
    assert sky.catalog(0).colnames == catalog.colnames


def test_bands_of_other_surveys_are_not_covered(sky, coords):
    ((_, cutouts, statuses),) = sky.iter_cutouts(coords[:1], ["legacysurvey.g"])
    assert len(cutouts) == 0
    assert list(statuses.values()) == [NO_COVERAGE]
