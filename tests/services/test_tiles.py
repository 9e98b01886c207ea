"""Cutouts from whole tiles: the same pixels as from cutout servers, and bad tiles."""

import itertools
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astroquery.exceptions import InvalidQueryError

from mantis_astro import SurveyCutouts
from mantis_astro.bands import get_band
from mantis_astro.exceptions import FetchError
from mantis_astro.services import PanSTARRS, conf, get_services
from mantis_astro.services.tiles import SkycellGrid, TileList, TileServiceClass
from mantis_astro.simulation.server import Fault, LocalSky
from tests.services.fakes import FakeClock
from tests.services.made_tiles import (
    crop,
    image_bytes,
    interpolate,
    make_pixels,
    packed,
    read_pixels,
    skycell_bytes,
    tangent_header,
)

RA, DEC = 150.1, 2.2
CENTRE = SkyCoord(RA, DEC, unit="deg")
SHAPE = (300, 320)
STACK = skycell_bytes(
    make_pixels(SHAPE), tangent_header(RA, DEC, SHAPE, 0.25, frame="FK5")
)
TILE = read_pixels(STACK)
PATH = "/rings.v3.skycell/1360/059/rings.v3.skycell.1360.059.stk.{}.unconv.fits"
SIZE = {"ps1": 10 * u.arcsec}  # 40 pixels


def near(*offsets):
    """Positions at offsets (east, north) in arcsec from the centre of the tile."""
    east, north = np.array(offsets, float).T
    return CENTRE.spherical_offsets_by(east * u.arcsec, north * u.arcsec)


SEVERAL = near((0, 0), (12, -8), (-25.1, 10.3), (3, 20), (-6, -24), (0.1, 0.1))


def fetch(source, coords, bands=("ps1.g",), **options):
    """Images and statuses of each object, in order; each comes once."""
    results = dict.fromkeys(range(len(coords)))
    for index, cutouts, statuses in source.iter_cutouts(coords, bands, **options):
        assert results[index] is None
        results[index] = cutouts, statuses
    return list(results.values())


def only(service, **options):
    """A source that asks one service and no other."""
    survey = service.survey.name
    defaults = {"size": SIZE, "clock": FakeClock(), "progress": False}
    return SurveyCutouts(sources={survey: [service]}, **(defaults | options))


def expected(tile, coord, shape=(40, 40)):
    return pytest.approx(crop(tile, coord, shape), rel=1e-5, abs=1e-4, nan_ok=True)


def states(results):
    return [[s.state for s in statuses.values()] for _, statuses in results]


@pytest.fixture
def serve():
    """Serve files, with the stacks of Pan-STARRS1 among them."""
    skies = []

    def start(files, **options):
        sky = LocalSky(files=files, **options).start()
        skies.append(sky)
        conf.panstarrs_tiles = sky.urls["files"]
        return sky

    before = conf.panstarrs_tiles
    yield start
    conf.panstarrs_tiles = before
    for sky in skies:
        sky.stop()


@pytest.fixture
def sky(serve):
    return serve({PATH.format("g"): STACK})


# The same pixels, whatever the road


def test_a_stack_gives_the_pixels_that_fitscut_gives(serve):
    def images(coord, band):
        return TILE

    sky = serve({PATH.format("g"): STACK}, images=images)
    with sky.configure(conf):
        by_tile = fetch(only(TileServiceClass("ps1")), SEVERAL)
        by_web = fetch(SurveyCutouts(size=SIZE, clock=FakeClock()), SEVERAL)
    for coord, (tile, _), (web, _) in zip(SEVERAL, by_tile, by_web, strict=True):
        a, b = tile["ps1.g"], web["ps1.g"]
        assert a.data == expected(TILE, coord)
        assert a.data == pytest.approx(b.data, rel=1e-5, abs=1e-4, nan_ok=True)
        assert a.unit == b.unit
        assert a.meta["zero_point_ab"] == pytest.approx(b.meta["zero_point_ab"])
        assert a.wcs.world_to_pixel(coord) == pytest.approx(b.wcs.world_to_pixel(coord))
    assert sky.count(host="files") == 1  # the whole of a small tile came with its head


@pytest.mark.parametrize("survey", ["unwise", "galex"])
def test_tiles_of_the_viewer_are_interpolated_as_it_does(serve, tmp_path, survey):
    band = {"unwise": "unwise.W1", "galex": "galex.NUV"}[survey]
    scale = {"unwise": 2.75, "galex": 1.5}[survey]
    shape = (90, 100)
    cards = tangent_header(RA, DEC, shape, scale, crpix=(1200.3, -900.2))
    content = image_bytes(make_pixels(shape), cards)
    tile = read_pixels(content)
    name = {"unwise": "unwise-1500p015-w1-img-m", "galex": "galex-nuv-nd-int"}[survey]
    (tmp_path / f"{name}.fits").write_bytes(content)
    coord = tile.wcs.pixel_to_world([47.3], [40.6]).icrs
    service = TileServiceClass(survey, tmp_path)
    [(by_tile, _)] = fetch(only(service), coord, [band])
    sky = serve({}, images=lambda coord, band: interpolate(tile, coord, band))
    with sky.configure(conf):
        [(by_web, _)] = fetch(SurveyCutouts(clock=FakeClock()), coord, [band])
    # addresses have positions to 0.4 mas, and the brightest pixel has 200
    assert by_tile[band].data == pytest.approx(by_web[band].data, rel=1e-4, abs=1e-3)
    for key in ("zero_point_ab", "magsys"):
        assert by_tile[band].meta[key] == by_web[band].meta[key]


def test_asinh_is_undone_only_if_both_cards_are_there(serve):
    pixels, cards = make_pixels(SHAPE), tangent_header(RA, DEC, SHAPE, 0.25)
    cards["BSOFTEN"] = 3.0
    plain = skycell_bytes(pixels, cards, softened=False)
    serve({PATH.format("g"): plain})
    [(cutouts, _)] = fetch(only(TileServiceClass("ps1")), SEVERAL[1:2])
    assert cutouts["ps1.g"].data == expected(read_pixels(plain), SEVERAL[1])


@pytest.mark.parametrize(
    "kind",
    [
        {"tile_shape": (16, 50)},
        {"tile_shape": (7, 320)},
        {"compression_type": "GZIP_2"},
        {"quantize_method": -1},
        {"quantize_level": 0, "compression_type": "GZIP_1"},
    ],
)
def test_rows_of_any_compression_are_those_of_the_whole_file(serve, monkeypatch, kind):
    monkeypatch.setattr("mantis_astro.services.tiles.fetcher._HEAD", 30_000)
    pixels = make_pixels(SHAPE)
    content = skycell_bytes(pixels, tangent_header(RA, DEC, SHAPE, 0.25), **kind)
    sky = serve({PATH.format("g"): content})
    with conf.set_temp("tile_gap_bytes", 0):
        results = fetch(only(TileServiceClass("ps1")), SEVERAL)
    for coord, (cutouts, _) in zip(SEVERAL, results, strict=True):
        assert cutouts["ps1.g"].data == expected(read_pixels(content), coord)
    assert sky.count(host="files") > 1


def test_a_packed_tile_is_read_whole(serve):
    cards = tangent_header(RA, DEC, (80, 80), 1.5)
    content = image_bytes(make_pixels((80, 80)), cards)
    path = "/galex/AIS_1-nd-int.fits.gz"
    sky = serve({path: packed(content)})
    table = Table({"url": [sky.urls["files"] + path], "band": ["NUV"]})
    table["ra"], table["dec"] = [RA], [DEC]
    tiles = TileList.from_table(table, "galex", shape=(80, 80))
    source = only(TileServiceClass("galex", tiles))
    [(cutouts, _)] = fetch(source, near((0, 0)), ["galex.NUV"])
    middle = interpolate(read_pixels(content), CENTRE, "galex.NUV")
    assert cutouts["galex.NUV"].data == pytest.approx(middle.data, rel=1e-4, abs=1e-4)
    assert [r.headers.get("Range") for r in sky.find_requests(host="files")] == [None]


# One tile, many objects


def test_each_row_of_a_tile_is_asked_for_once(serve, monkeypatch):
    monkeypatch.setattr("mantis_astro.services.tiles.fetcher._HEAD", 20_000)
    sky = serve({PATH.format("g"): STACK})
    with conf.set_temp("tile_gap_bytes", 0):
        fetch(only(TileServiceClass("ps1")), SEVERAL)
    asked = [r.headers["Range"][6:].split("-") for r in sky.find_requests(host="files")]
    ranges = sorted((int(a), int(b)) for a, b in asked)
    assert len(ranges) > 3
    assert all(a[1] < b[0] for a, b in itertools.pairwise(ranges))


def test_a_tile_of_many_chunks_is_read_once(sky):
    offsets = np.random.default_rng(1).uniform(-30, 30, (40, 2))
    coords = near(*offsets)
    with conf.set_temp("positions_per_list", 7):
        results = fetch(only(TileServiceClass("ps1")), coords)
    assert {state for (state,) in states(results)} == {"ok"}
    assert sky.count(host="files") == 1


def test_what_was_read_serves_the_next_run(sky):
    fetch(only(TileServiceClass("ps1")), SEVERAL)
    fetch(only(TileServiceClass("ps1")), SEVERAL)
    assert sky.count(host="files") == 1
    with conf.set_temp("tile_cache_bytes", 0):
        fetch(only(TileServiceClass("ps1")), SEVERAL)
    assert sky.count(host="files") == 2


def test_a_single_position_is_served_too(sky):
    service = TileServiceClass("ps1")
    coord = SEVERAL[1]
    [image] = service.get_images(coord, bands="g", size=10 * u.arcsec)
    assert image.data == expected(TILE, coord)
    [url] = service.get_images(coord, bands="g", get_query_payload=True)
    assert url == image.meta["url"]


# Edges and overlaps


def two_tiles(tmp_path, *, second=None, frame=None):
    """Two tiles side by side, 60 columns in common; the sky in both is the same."""
    wide = make_pixels((200, 340), seed=2)
    cards = tangent_header(RA, DEC, (200, 340), 0.25)
    east, west = cards.copy(), cards.copy()
    west["CRPIX1"] -= 140
    contents = {"ps1.g.east.fits": image_bytes(wide[:, :200], east, EXPTIME=100.0)}
    contents["ps1.g.west.fits"] = second or image_bytes(
        wide[:, 140:], west, EXPTIME=100.0
    )
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    whole = read_pixels(image_bytes(wide, cards))
    return TileServiceClass("ps1", tmp_path), whole


def at(tile, x, y):
    return tile.wcs.pixel_to_world([x], [y]).icrs


@pytest.mark.parametrize(("x", "tile"), [(160.2, "east"), (185.2, "west")])
def test_the_tile_in_which_a_position_lies_deepest_is_read(tmp_path, x, tile):
    service, whole = two_tiles(tmp_path)
    coord = at(whole, x, 100.2)
    [(cutouts, _)] = fetch(only(service), coord)
    assert tile in cutouts["ps1.g"].meta["url"]
    assert cutouts["ps1.g"].data == expected(whole, coord[0])


def test_a_cutout_over_the_edge_of_all_tiles_is_partial_and_masked(tmp_path):
    service, whole = two_tiles(tmp_path)
    coord = at(whole, 335.2, 100.2)
    [(cutouts, statuses)] = fetch(only(service), coord)
    image = cutouts["ps1.g"]
    assert image.data == expected(whole, coord[0])
    assert image.mask.mean() == pytest.approx(np.isnan(image.data).mean())
    assert image.mask.mean() == pytest.approx(0.4)
    assert [str(s) for s in statuses.values()] == ["ok"]


def test_of_two_partial_tiles_the_one_that_covers_more_is_kept(tmp_path):
    service, whole = two_tiles(tmp_path)
    coord = at(whole, 172.2, 100.2)  # 80 pixels do not fit into the common 60
    source = only(service, size={"ps1": 20 * u.arcsec})
    [(cutouts, _)] = fetch(source, coord)
    assert cutouts["ps1.g"].data.shape == (80, 80)
    assert cutouts["ps1.g"].mask.mean() < 0.17


def test_a_broken_tile_gives_way_to_the_one_beside_it(tmp_path):
    service, whole = two_tiles(tmp_path)
    (tmp_path / "ps1.g.west.fits").write_bytes(b"SIMPLE  =" + bytes(5000))
    coord = at(whole, 172.2, 100.2)  # deeper in the west, and whole in the east
    [(cutouts, _)] = fetch(only(service), coord)
    assert "east" in cutouts["ps1.g"].meta["url"]


@pytest.mark.parametrize("frame", ["FK5", "FK4"])
def test_tiles_with_a_wcs_of_another_epoch_show_the_same_sky(tmp_path, frame):
    shape = (120, 120)
    centre = CENTRE.transform_to(frame.lower())
    cards = tangent_header(centre.ra.deg, centre.dec.deg, shape, 0.25, frame=frame)
    cards["EQUINOX"] = {"FK5": 2000.0, "FK4": 1950.0}[frame]
    pixels = make_pixels(shape)
    pixels[60, 60] = 1e4
    content = image_bytes(pixels, cards, EXPTIME=100.0)
    (tmp_path / "ps1.g.fits").write_bytes(content)
    [(cutouts, _)] = fetch(only(TileServiceClass("ps1", tmp_path)), near((0, 0)))
    image = cutouts["ps1.g"]
    y, x = np.unravel_index(image.data.argmax(), image.shape)
    assert image.wcs.pixel_to_world(x, y).icrs.separation(CENTRE) < 0.2 * u.arcsec


# Bad tiles


BAD = {
    "missing": None,
    "empty": b"",
    "an error page": b"<!DOCTYPE html><html>Please come back later</html>",
    "cut short": STACK[: len(STACK) // 2],
    "cut in the header": STACK[:3000],
    "no image": STACK[:2880],
    "another band": skycell_bytes(
        make_pixels(SHAPE), tangent_header(RA, DEC, SHAPE, 0.25), "r"
    ),
    "another scale": skycell_bytes(
        make_pixels(SHAPE), tangent_header(RA, DEC, SHAPE, 0.3)
    ),
    "another place": skycell_bytes(
        make_pixels(SHAPE), tangent_header(RA + 1, DEC, SHAPE, 0.25)
    ),
    "another unit": image_bytes(
        make_pixels(SHAPE), tangent_header(RA, DEC, SHAPE, 0.25), BUNIT="Jy"
    ),
    "no sky": image_bytes(make_pixels(SHAPE), fits.Header()),
    "a cube": image_bytes(
        make_pixels((600, 320)).reshape(2, 300, 320),
        tangent_header(RA, DEC, SHAPE, 0.25),
    ),
}


def corrupt(content, where):
    broken = bytearray(content)
    broken[where : where + 4000] = b"\xa5" * 4000
    return bytes(broken)


BAD["corrupt table"] = corrupt(STACK, STACK.index(b"END" + b" " * 77, 2880) + 3000)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("what", BAD)
def test_a_bad_tile_fails_its_objects_and_no_others(serve, what):
    good = skycell_bytes(
        make_pixels(SHAPE), tangent_header(RA, DEC, SHAPE, 0.25), band="r"
    )
    files = {PATH.format("g"): BAD[what], PATH.format("r"): good}
    serve({path: content for path, content in files.items() if content is not None})
    source = only(TileServiceClass("ps1"))
    results = fetch(source, SEVERAL, ["ps1.g", "ps1.r"])
    assert states(results) == [["failed", "ok"]] * len(SEVERAL)
    assert len(source.failed()) == len(SEVERAL)
    assert set(source.report()["Status"]) == {"failed", "ok"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("what", BAD)
def test_what_a_tile_does_not_give_is_asked_of_the_web(serve, what):
    content = BAD[what]
    files = {} if content is None else {PATH.format("g"): content}
    sky = serve(files, images=lambda coord, band: TILE)
    source = SurveyCutouts(sources={"ps1": "tiles"}, size=SIZE, clock=FakeClock())
    with sky.configure(conf):
        results = fetch(source, SEVERAL)
    for coord, (cutouts, _) in zip(SEVERAL, results, strict=True):
        assert cutouts["ps1.g"].data == expected(TILE, coord)
    assert sky.count("fitscut") == len(SEVERAL)


@pytest.mark.usefixtures("quick")
def test_broken_rows_fail_only_the_objects_on_them(serve, monkeypatch):
    monkeypatch.setattr("mantis_astro.services.tiles.fetcher._HEAD", 20_000)
    content = image_bytes(
        make_pixels((4000, 300)), tangent_header(RA, DEC, (4000, 300), 0.25)
    )
    sky = serve({PATH.format("g"): content})
    path = PATH.format("g")
    sky.faults = [Fault(500, match=path, attempts=range(1, 2))]
    with conf.set_temp("tile_gap_bytes", 0), conf.set_temp("retries", 0):
        results = fetch(only(TileServiceClass("ps1")), near((0, -300), (0, 300)))
    assert sorted(states(results)) == [["failed"], ["ok"]]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "kind",
    [
        *("no_ranges", "short_range", "wrong_range", "unnamed_range", "html"),
        *("cut_short", "reset", "refused", "empty", 416, 503, 429),
    ],
)
def test_a_server_that_errs_once_is_asked_again(sky, kind):
    sky.faults = [Fault(kind, attempts=[0])]
    results = fetch(only(TileServiceClass("ps1")), SEVERAL)
    assert states(results) == [["ok"]] * len(SEVERAL)
    for coord, (cutouts, _) in zip(SEVERAL, results, strict=True):
        assert cutouts["ps1.g"].data == expected(TILE, coord)
    assert sky.count(host="files") == (1 if kind == "no_ranges" else 2)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["short_range", "wrong_range", "unnamed_range", 416])
def test_wrong_ranges_are_never_taken(sky, kind):
    sky.faults = [Fault(kind)]
    results = fetch(only(TileServiceClass("ps1")), SEVERAL)
    assert states(results) == [["failed"]] * len(SEVERAL)


def test_a_file_that_changes_while_it_is_read_is_not_mixed(serve, monkeypatch):
    monkeypatch.setattr("mantis_astro.services.tiles.fetcher._HEAD", 20_000)
    sky = serve({PATH.format("g"): STACK})
    source = only(TileServiceClass("ps1"), connections_per_host=1)
    other = skycell_bytes(make_pixels(SHAPE, 5), tangent_header(RA, DEC, SHAPE, 0.25))
    assert len(other) != len(STACK)
    answer = sky._hosts["files"].protocol.answer

    def change(path, *rest):
        if sky.count(host="files") == 3:
            sky._hosts["files"].protocol.files[path] = other
        return answer(path, *rest)

    monkeypatch.setattr(sky._hosts["files"].protocol, "answer", change)
    with conf.set_temp("tile_gap_bytes", 0), conf.set_temp("retries", 0):
        results = fetch(source, SEVERAL)
    for coord, (cutouts, statuses) in zip(SEVERAL, results, strict=True):
        if "ps1.g" in cutouts:
            assert cutouts["ps1.g"].data == expected(TILE, coord)
        else:
            assert "changed" in str(statuses[get_band("ps1.g")])
    assert ["failed"] in states(results)


def test_a_damaged_cache_is_not_believed(sky, tmp_path):
    fetch(only(TileServiceClass("ps1")), SEVERAL)
    [part] = tmp_path.rglob("*.part")
    part.write_bytes(bytes(part.stat().st_size))
    results = fetch(only(TileServiceClass("ps1")), SEVERAL)
    assert states(results) == [["ok"]] * len(SEVERAL)
    assert sky.count(host="files") == 2


def test_positions_without_a_tile_say_so(tmp_path):
    service, _ = two_tiles(tmp_path)
    [(_, statuses)] = fetch(only(service), near((7200, 0)))
    assert "no tile that is known here" in str(*statuses.values())


# Local folders


def test_a_folder_of_several_surveys_serves_each(tmp_path):
    (tmp_path / "ps1").mkdir()
    (tmp_path / "ps1" / "skycell.g.fits").write_bytes(STACK)
    cards = tangent_header(RA, DEC, (60, 60), 2.75)
    content = image_bytes(make_pixels((60, 60)), cards)
    (tmp_path / "unwise-1500p015-w1-img-m.fits").write_bytes(content)
    (tmp_path / "notes.fits").write_bytes(b"not a FITS file")
    services = [TileServiceClass(survey, tmp_path) for survey in ("ps1", "unwise")]
    source = SurveyCutouts(
        sources={s.survey: [s] for s in services}, size=SIZE, progress=False
    )
    [(cutouts, _)] = fetch(source, near((0, 0)), ["ps1.g", "unwise.W1"])
    assert [str(band) for band in cutouts] == ["ps1.g", "unwise.W1"]
    assert source.plan(near((0, 0)), ["ps1.g"]).hosts[0].host == "this machine"


def test_a_folder_that_cannot_be_read_is_an_error_at_once(tmp_path):
    with pytest.raises(NotADirectoryError, match="no folder"):
        TileServiceClass("ps1", tmp_path / "nowhere")
    with pytest.raises(FetchError, match="no image that can be used"):
        TileServiceClass("ps1", tmp_path)


def test_a_file_that_must_not_be_read_fails_its_objects(tmp_path, monkeypatch):
    service, whole = two_tiles(tmp_path)

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    coords = at(whole, 100, 100)
    service.tiles.find(coords.ra.deg, coords.dec.deg, get_band("ps1.g"))
    monkeypatch.setattr(Path, "open", refuse)
    source = only(service, clock=FakeClock())
    [(_, statuses)] = fetch(source, coords)
    assert "Permission denied" in str(*statuses.values())


def test_cloud_storage_is_read_through_fsspec(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    storage = fsspec.filesystem("memory")
    storage.pipe("/sky" + PATH.format("g"), STACK)
    service = TileServiceClass("ps1", SkycellGrid(server="memory://sky"))
    [(cutouts, _)] = fetch(only(service), SEVERAL[1:2])
    assert cutouts["ps1.g"].data == expected(TILE, SEVERAL[1])
    storage.rm("/sky" + PATH.format("g"))
    with conf.set_temp("tile_cache_bytes", 0), conf.set_temp("backoff", 0.01):
        [(_, statuses)] = fetch(only(service), SEVERAL[2:3])
    assert "404" in str(*statuses.values())


# Where skycells lie


@pytest.mark.parametrize(
    ("ra", "dec", "skycell"),
    [
        # SKYCELL in the headers of cutouts that MAST served
        (7.09390, -10.65098, "1056.037"),
        (334.0204, -7.8989, "1226.009"),
        (27.952, 0.2635, "1329.005"),
    ],
)
def test_skycells_are_found_without_a_request(ra, dec, skycell):
    [[best]] = SkycellGrid().find([ra], [dec], get_band("ps1.r"))
    assert f"rings.v3.skycell.{skycell}.stk.r.unconv.fits" in best.url
    assert best.file[:2] == tuple(map(int, skycell.split(".")))


def test_the_table_of_the_archive_gives_the_same_skycells():
    grid = SkycellGrid()
    rows = zip(grid._first, grid._cells, grid._dec, *grid._sides.T, strict=True)
    names = ("PROJCELL", "NBAND", "DEC", "XCELL", "YCELL")
    table = Table(rows=list(rows), names=names)
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 500), rng.uniform(-29, 90, 500)
    numbers = SkycellGrid(table).number(ra, dec, None)
    assert (numbers == grid.number(ra, dec, None)).all()
    assert numbers.min() >= 63500  # every position has one
    assert table["PROJCELL"][-1] + 1 == 2644  # cells of the northern sky, and the pole
    assert len(table) == 31


def test_a_position_in_the_overlap_has_several_skycells():
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 400), rng.uniform(-29, 80, 400)
    found = SkycellGrid().find(ra, dec, get_band("ps1.g"))
    assert {len(tiles) for tiles in found} >= {1, 2, 4}
    for tiles in found:
        assert len({tile.url for tile in tiles}) == len(tiles)


def test_a_table_of_unwise_tiles_makes_their_addresses():
    table = Table({"coadd_id": ["1497p015"], "ra": [149.75], "dec": [1.51444]})
    tiles = TileList.from_table(table, "unwise")
    [[tile], []] = tiles.find([150.1, 150.7], [2.0, 2.0], get_band("unwise.W2"))
    end = "/fulldepth/149/1497p015/unwise-1497p015-w2-img-m.fits"
    assert tile.url.endswith(end)
    with pytest.raises(ValueError, match="url or coadd_id"):
        TileList.from_table(table["ra", "dec"], "unwise")


# Plans, densities and wrong calls


def test_the_plan_counts_requests_and_bytes():
    service = TileServiceClass("ps1")
    few = only(service).plan(SEVERAL, ["ps1.g"])
    many = only(service).plan(near(*[(i, i) for i in range(60)]), ["ps1.g"])
    assert few.n_requests == 2
    assert 0.2e6 < few.n_bytes < many.n_bytes < 39e6
    assert "stpubdata.s3.amazonaws.com: " in str(few)
    assert f"{few.n_bytes / 1e6:.2g} MB" in str(few)


def test_sparse_objects_are_left_to_the_web(serve):
    sky = serve({PATH.format("g"): STACK}, images=lambda coord, band: TILE)
    alone = near((0, 0), (5 * 3600, 0))[1:]
    coords = SkyCoord([*SEVERAL.ra, *alone.ra], [*SEVERAL.dec, *alone.dec])
    source = SurveyCutouts(sources={"ps1": "dense tiles"}, size=SIZE, clock=FakeClock())
    with sky.configure(conf):
        plan = source.plan(coords, ["ps1.g"])
        fetch(source, coords, ordered=True)
    assert [host.n_requests for host in plan.hosts] == [2, 2]  # a list, and an image
    assert sky.count(host="files") == 1
    assert len({r.query["ra"] for r in sky.find_requests("fitscut")}) == 1
    with conf.set_temp("objects_per_tile", 7), sky.configure(conf):
        assert len(source.plan(coords, ["ps1.g"]).hosts) == 1


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"ps1": "tils"}, "no service 'tils' for Pan-STARRS1; there are"),
        ({"galex": "tiles"}, "no tiles of GALEX are known"),
        ({"galex": PanSTARRS}, "no service of GALEX"),
        ({"ps1": []}, "at least one"),
    ],
)
def test_wrong_sources_are_an_error_at_once(sources, message):
    with pytest.raises(InvalidQueryError, match=message):
        SurveyCutouts(sources=sources)


def test_tiles_have_pixels_of_their_own():
    with pytest.raises(InvalidQueryError, match="'pixel_scale': tiles of"):
        TileServiceClass("ps1").settle_shape(None, 1 * u.arcsec)


def test_the_usual_services_do_not_change():
    assert [type(s).__name__ for s in get_services("ps1")] == ["PanSTARRSClass"]
