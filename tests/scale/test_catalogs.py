"""Catalogues of LSDB, folders of Parquet, and p(z) in nested columns."""

import numpy as np
import pytest

from mantis_astro import CutoutStore, RedshiftPDF
from mantis_astro.exceptions import (
    InputSpecError,
    MantisError,
    OutOfDistributionWarning,
)
from mantis_astro.flags import Flag

lsdb = pytest.importorskip("lsdb")

import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
from pyarrow import parquet  # noqa: E402

from mantis_astro.scale import (  # noqa: E402
    frame_to_pdf,
    frame_to_qp,
    predict_catalog,
)
from mantis_astro.scale.densities import LEVELS, nested_densities  # noqa: E402
from mantis_astro.scale.frames import frame_to_table  # noqa: E402

from .conftest import ESTIMATES, MODEL, N, as_table, check_rows, counting  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:(lsdb|hats|dask|nested_pandas).*"),
]


@pytest.fixture(scope="module")
def frame(galaxies):
    return pd.DataFrame(galaxies)


@pytest.fixture(scope="module")
def catalog(frame):
    """Four parts of the sky, with a margin of a degree."""
    return lsdb.from_dataframe(
        frame, catalog_name="made", partition_rows=30, margin_threshold=3600.0
    )


@pytest.fixture(scope="module")
def predicted(catalog):
    return predict_catalog(catalog, MODEL)


@pytest.fixture(scope="module")
def rows(predicted):
    return predicted.compute(progress_bar=False).sort_values("id")


class TestCatalog:
    def test_answers_are_those_of_one_table(self, rows, expected, catalog):
        assert catalog.npartitions > 2
        assert len(rows) == N
        check_rows(rows, expected)

    def test_nothing_is_computed_before_it_is_asked_for(self, catalog, monkeypatch):
        asked = []
        monkeypatch.setattr(
            "mantis_astro.scale.row_predictor.redshift_table.add_redshifts",
            counting(asked),
        )
        result = predict_catalog(catalog, MODEL)
        assert asked == [0]  # the example without rows
        result.partitions[0].compute(progress_bar=False)
        assert len(asked) == 2

    def test_types_are_known_before(self, predicted, rows):
        assert predicted.dtypes.to_dict() == rows.dtypes.to_dict()

    def test_types_of_a_part_without_rows(self, predicted):
        none = predicted.query("ra > 400").compute(progress_bar=False)
        assert len(none) == 0
        assert none.dtypes.to_dict() == predicted.dtypes.to_dict()

    def test_the_model_is_not_sent_with_each_task(self, predicted):
        import cloudpickle

        graph = predicted._operation.build().graph
        assert max(len(cloudpickle.dumps(task)) for task in graph.values()) < 100_000

    def test_a_search_reads_and_predicts_what_is_inside(self, catalog, monkeypatch):
        asked = []
        monkeypatch.setattr(
            "mantis_astro.scale.row_predictor.redshift_table.add_redshifts",
            counting(asked),
        )
        cone = lsdb.ConeSearch(30, 0, 5 * 3600)
        found = predict_catalog(catalog, MODEL, search=cone)
        found = found.compute(progress_bar=False)
        assert 0 < len(found) == sum(asked) < N

    def test_a_search_of_the_result_leaves_out_parts(self, predicted, rows):
        near = predicted.cone_search(30, 0, 2 * 3600)
        assert near.npartitions < predicted.npartitions
        found = near.compute(progress_bar=False)
        assert len(found) > 0
        assert set(found["id"]) < set(rows["id"])

    def test_the_margin_is_predicted(self, predicted, expected):
        margin = predicted.margin.compute(progress_bar=False)
        assert len(margin) > 0
        check_rows(margin, expected)

    def test_a_catalogue_without_margin_and_a_frame(self, frame, expected):
        catalog = lsdb.from_dataframe(frame, margin_threshold=None)
        result = predict_catalog(catalog, MODEL, densities="none")
        assert result.margin is None
        assert "pz" not in result.columns
        check_rows(result.compute(progress_bar=False), expected)

    def test_one_row(self, frame, expected):
        result = predict_catalog(frame[4:5], MODEL, columns=[*ESTIMATES, "flags"])
        assert list(result.columns)[-1] == "pz"
        check_rows(result.compute(progress_bar=False), expected)

    def test_all_rows_flagged(self, frame):
        fluxes = [name for name in frame.columns if name.startswith("flux")]
        nothing = frame.assign(**dict.fromkeys(fluxes, np.nan))
        found = predict_catalog(nothing, MODEL).compute(progress_bar=False)
        assert found["z_median"].isna().all()
        assert (found["flags"].astype(int) & int(Flag.NO_DATA) != 0).all()
        assert found["pz"].isna().all()

    def test_names_beside_those_of_other_codes(self, frame):
        both = frame.assign(knn_z_median=0.5, flags=0)
        result = predict_catalog(both, MODEL, prefix="mantis_", columns=["z_median"])
        assert "mantis_z_median" in result.columns
        with pytest.raises(ValueError, match="has flags already"):
            predict_catalog(both, MODEL)

    def test_columns_of_an_archive(self, frame, expected):
        fluxes = {f"ps1_{band}": (f"{band}_njy", f"{band}_err_njy") for band in "grizy"}
        names = {}
        for band, columns in fluxes.items():
            names |= {f"flux_{band}": columns[0], f"flux_err_{band}": columns[1]}
        reading = {
            "columns": {f"ps1.{band[4:]}": pair for band, pair in fluxes.items()},
            "unit": "nJy",
            "corrected": False,
        }
        result = predict_catalog(frame.rename(columns=names), MODEL, photometry=reading)
        assert "flux_ps1_g" not in result.columns
        check_rows(result.compute(progress_bar=False), expected)

    def test_what_is_no_catalogue(self):
        with pytest.raises(TypeError, match="an LSDB catalogue, a data frame or"):
            predict_catalog([1, 2], MODEL)


class TestUnits:
    def test_fluxes_are_in_njy_if_nothing_is_said(self, frame):
        table = frame_to_table(frame)
        assert table["flux_ps1_g"].unit == "nJy"
        assert table["flux_err_ps1_g"].unit == "nJy"
        assert table["ra"].unit is None

    def test_others_are_given(self, frame, expected):
        fluxes = [name for name in frame.columns if name.startswith("flux")]
        in_ujy = frame.assign(**{name: frame[name] / 1024 for name in fluxes})
        units = dict.fromkeys(fluxes, "1.024 uJy")
        found = predict_catalog(in_ujy, MODEL, units=units)
        found = found.compute(progress_bar=False).sort_values("id")
        known = found["z_median"].notna().to_numpy()
        np.testing.assert_allclose(
            found["z_median"][known].astype(float),
            expected["z_median"][known],
            rtol=1e-6,
        )

    def test_a_column_that_is_not_there(self, frame):
        with pytest.raises(KeyError, match="'units' has flux_x"):
            predict_catalog(frame, MODEL, units={"flux_x": "nJy"})

    def test_null_is_masked_and_a_nested_column_is_left_out(self, predicted, rows):
        table = frame_to_table(rows)
        assert "pz" not in table.colnames
        np.testing.assert_array_equal(table["z_median"].mask, rows["z_median"].isna())
        assert table["n_peaks"].dtype.kind == "i"


class TestFailures:
    class Broken:
        """A source whose server is down, the first times."""

        def __init__(self, path, times):
            self.path, self.times = path, times

        def iter_cutouts(self, coords, bands):
            tried = len(list(self.path.iterdir()))
            (self.path / str(tried)).touch()
            if tried < self.times:
                msg = "the server is down"
                raise ConnectionError(msg)
            return iter(())

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch):
        monkeypatch.setattr("mantis_astro.scale.row_predictor._WAIT", 0.0)

    def test_a_part_is_tried_again(self, frame, tmp_path):
        source = self.Broken(tmp_path, 2)
        found = predict_catalog(frame[:3], "simulated-early", source)
        found = found.partitions[0].compute(progress_bar=False)
        assert (found["flags"].astype(int) & int(Flag.FETCH_FAILED) != 0).all()

    def test_then_it_is_told_of(self, frame, tmp_path):
        source = self.Broken(tmp_path, 99)
        result = predict_catalog(frame[:1], "simulated-early", source)
        with pytest.raises(RuntimeError, match="failed 3 times: the server is down"):
            result.compute(progress_bar=False)

    def test_or_flagged(self, frame, tmp_path):
        source = self.Broken(tmp_path, 99)
        result = predict_catalog(
            frame[:1], "simulated-early", source, tries=1, if_failed="flag"
        )
        found = result.compute(progress_bar=False)
        assert found["flags"].tolist() == [int(Flag.FETCH_FAILED | Flag.NO_DATA)]
        assert found["pz"].isna().all()

    def test_images_need_a_source(self, frame):
        with pytest.raises(InputSpecError, match="give a 'source' of cutouts"):
            predict_catalog(frame, "simulated-early")

    def test_images_of_a_store(self, frame, tmp_path):
        store = CutoutStore(tmp_path / "store", "a")
        found = predict_catalog(frame[:2], "simulated-early", store)
        found = found.compute(progress_bar=False)
        assert (found["flags"].astype(int) & int(Flag.NO_DATA) != 0).all()


class TestWriting:
    def test_by_the_writer_of_lsdb_with_its_margin(
        self, catalog, predicted, expected, tmp_path
    ):
        written = predict_catalog(catalog, MODEL, output=tmp_path / "out")
        check_rows(written.compute(progress_bar=False), expected)
        check_rows(written.margin.compute(progress_bar=False), expected)
        assert written.dtypes.to_dict() == predicted.dtypes.to_dict()
        facts = written.hc_structure.catalog_info.model_dump()
        assert facts["pzmodel"] == MODEL
        with pytest.raises(FileExistsError, match="exists"):
            predict_catalog(catalog, MODEL, output=tmp_path / "out")

    def test_a_run_goes_on_where_it_stopped(
        self, catalog, expected, tmp_path, monkeypatch
    ):
        asked = []
        target = "mantis_astro.scale.row_predictor.redshift_table.add_redshifts"
        with monkeypatch.context() as patch:
            patch.setattr(target, counting(asked, stop_after=3))
            with pytest.raises(RuntimeError, match="broken off"):
                predict_catalog(catalog, MODEL, output=tmp_path / "out", tries=1)
        with pytest.raises(MantisError, match="another run: prefix was"):
            predict_catalog(catalog, MODEL, output=tmp_path / "out", prefix="m_")
        again = []
        monkeypatch.setattr(target, counting(again))
        written = predict_catalog(catalog, MODEL, output=tmp_path / "out")
        check_rows(written.compute(progress_bar=False), expected)
        assert sum(map(bool, again)) < len(
            [*catalog.get_healpix_pixels(), *catalog.margin.get_healpix_pixels()]
        )

    def test_a_margin_of_a_run_that_is_replaced_is_not_kept(
        self, catalog, tmp_path, monkeypatch
    ):
        options = {"output": tmp_path / "out", "densities": "none"}
        predict_catalog(catalog, MODEL, **options)
        options |= {"prefix": "new_", "overwrite": True}
        with monkeypatch.context() as patch:
            patch.setattr(type(catalog.margin), "write_catalog", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                predict_catalog(catalog, MODEL, **options)
        found = predict_catalog(catalog, MODEL, **options)
        assert found.columns[-1] == found.margin.columns[-1] == "new_flags"

    @pytest.mark.parametrize(
        "changed",
        [
            {"units": {"flux_ps1_g": "uJy"}},
            {"meta": {"FLUXDUST": "corrected"}},
            {"columns": ["z_mean"]},
            {"search": lsdb.ConeSearch(30, 0, 60 * 3600)},
        ],
        ids=str,
    )
    def test_a_run_with_other_options_is_another_run(
        self, catalog, tmp_path, monkeypatch, changed
    ):
        monkeypatch.setattr(type(catalog), "write_catalog", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            predict_catalog(catalog, MODEL, output=tmp_path / "out")
        name = next(iter(changed))
        with pytest.raises(MantisError, match=rf"another run: (.*; )?{name} was"):
            predict_catalog(catalog, MODEL, output=tmp_path / "out", **changed)
        few = catalog.query("ra > 20")
        with pytest.raises(MantisError, match="another run: steps was"):
            predict_catalog(few, MODEL, output=tmp_path / "out")

    def test_a_catalogue_is_not_written_into_itself(self, catalog, tmp_path):
        catalog.write_catalog(tmp_path / "in", progress_bar=False)
        with pytest.raises(ValueError, match="must not be where the catalogue itself"):
            predict_catalog(
                tmp_path / "in", MODEL, output=tmp_path / "in", overwrite=True
            )

    def test_from_a_disk_to_a_cloud(self, catalog, rows, tmp_path):
        catalog.write_catalog(tmp_path / "made", progress_bar=False)
        output = "memory://redshifts"
        written = predict_catalog(tmp_path / "made", MODEL, output=output)
        found = written.compute(progress_bar=False).sort_values("id")
        assert found["z_median"].equals(rows["z_median"])

    def test_a_part_that_lacks_a_column(self, catalog, galaxies, photoz, tmp_path):
        catalog.write_catalog(tmp_path / "in", progress_bar=False)
        path = sorted((tmp_path / "in" / "made").rglob("Npix=*.parquet"))[0]
        content = parquet.read_table(path)
        parquet.write_table(content.drop_columns(["flux_ps1_g"]), path)
        found = predict_catalog(tmp_path / "in", MODEL).compute(progress_bar=False)
        found = found.sort_values("id")
        lacks = np.isin(np.arange(N), np.asarray(content["id"]))
        table = as_table(galaxies)
        table["flux_ps1_g"][lacks] = np.ma.masked  # LSDB fills in null
        with pytest.warns(OutOfDistributionWarning):
            check_rows(found, photoz.add_redshifts(table))


class TestDensities:
    def test_quantiles_hold_the_cumulative_distribution(self, rows, photoz, expected):
        pdf = frame_to_pdf(rows, photoz.card.bin_edges)
        known = ~expected["z_median"].mask
        whole = RedshiftPDF.from_table(expected[known])
        for level in (0.1, 0.5, 0.9):
            z = whole.ppf(level)
            np.testing.assert_allclose(pdf[known].cdf(z), level, atol=0.02)
        assert (pdf.flags[~known] & Flag.NO_DATA).all()
        np.testing.assert_allclose(np.diff(pdf[~known][0].pdf([0.1, 0.2])), 0)

    def test_through_qp_and_back(self, rows, photoz):
        pytest.importorskip("qp")
        ensemble = frame_to_qp(rows)
        edges = photoz.card.bin_edges
        back = RedshiftPDF.from_qp(ensemble, edges)
        ours = frame_to_pdf(rows, edges)[ensemble.ancil["row"]]
        np.testing.assert_allclose(back.probability, ours.probability, atol=1e-4)
        np.testing.assert_array_equal(ensemble.ancil["flags"], ours.flags)
        z = np.asarray(rows["pz.z"]).reshape(-1, len(LEVELS))
        np.testing.assert_allclose(ensemble.ppf(0.5)[:, 0], z[:, 10], rtol=1e-4)

    def test_bins_through_qp(self):
        pytest.importorskip("qp")
        probability = np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32)
        table = pa.table(
            {
                "pz": nested_densities(probability, np.array([0.0, 1, 4]), "bins"),
                "flags": [0, int(Flag.NO_DATA)],
            }
        )
        ensemble = frame_to_qp(table)
        assert ensemble.npdf == 1
        assert ensemble.ancil["row"].tolist() == [0]
        assert np.ravel(ensemble.cdf([1.0]))[0] == pytest.approx(0.25)
        assert frame_to_pdf(table).probability.tolist() == [[0.25, 0.75]] * 2

    @pytest.mark.parametrize("kind", ["bins", "quantiles"])
    def test_nothing_is_known_of_any_row(self, kind):
        edges = np.array([0.0, 1, 4])
        for n in (0, 2):
            pz = nested_densities(np.full((n, 2), np.nan, np.float32), edges, kind)
            table = pa.table({"pz": pz, "flags": [int(Flag.NO_DATA)] * n})
            assert frame_to_pdf(table, edges).probability.tolist() == [[0.25, 0.75]] * n
            with pytest.raises(ValueError, match="'bin_edges' must be given"):
                frame_to_pdf(table)

    def test_no_column_of_p_of_z(self, rows, photoz):
        with pytest.raises(KeyError, match="no column 'x_pz'"):
            frame_to_pdf(rows, photoz.card.bin_edges, prefix="x_")

    def test_quantiles_need_bins(self, rows):
        with pytest.raises(ValueError, match="'bin_edges' must be given"):
            frame_to_pdf(rows)

    def test_other_kinds(self, frame):
        with pytest.raises(ValueError, match="one of quantiles, bins, none, got 'all'"):
            predict_catalog(frame, MODEL, densities="all")


def _interrupted(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.timeout(1200)  # processes begin with importing torch
def test_workers_of_dask_of_which_one_is_killed(frame, catalog, expected, tmp_path):
    """The same answers as of one process, and each worker has loaded the model once."""
    from distributed import Client, LocalCluster

    def kill_first(dask_worker=None):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # a free port
        ) as cluster,
        Client(cluster) as client,
    ):
        result = predict_catalog(catalog, MODEL)
        futures = client.compute(result.to_delayed())
        client.run(
            kill_first,
            workers=[next(iter(client.scheduler_info()["workers"]))],
            on_error="ignore",
        )
        found = pd.concat(client.gather(futures))
    check_rows(found, expected)
