"""Archives as unwise.me sends them: two tiles, hostile names, broken bytes."""

import io
import tarfile

import pytest
from astropy.coordinates import SkyCoord

from mantis_astro import SurveyCutouts
from mantis_astro.bands import get_bands
from mantis_astro.services.answers import Answer
from mantis_astro.services.unwise_cutouts import UnwiseCutoutsClass
from mantis_astro.services.validation import BadAnswerError
from tests.services.made_tiles import (
    image_bytes,
    interpolate,
    make_pixels,
    packed,
    read_pixels,
    tangent_header,
)

RA, DEC = 186.9, 26.1
COORD = SkyCoord(RA, DEC, unit="deg")
SERVICE = UnwiseCutoutsClass()
BANDS = get_bands(["unwise.W1", "unwise.W2"])
NAME = "unwise-1866p257-{}-img-m.fits"


def tile(seed, shape=(60, 60), **options):
    """Native pixels around the position, as cut from a tile whose centre is off."""
    cards = tangent_header(RA, DEC, shape, 2.75, **options)
    return image_bytes(make_pixels(shape, seed), cards, MAGZP=22.5)


def archive(files, *, kind=tarfile.REGTYPE):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            member.type, member.linkname = kind, "/etc/passwd"
            members.addfile(member, io.BytesIO(content))
    return packed(file.getvalue())


def read(content, status=200):
    [request] = SERVICE.image_requests(RA, DEC, BANDS, (32, 32))
    return SERVICE.accept(Answer(status, content), request)


GOOD = {NAME.format("w1"): tile(1), NAME.format("w2"): tile(2)}


def test_the_request_asks_for_all_bands_and_a_margin():
    [request] = SERVICE.image_requests(RA, DEC, BANDS, (32, 32))
    assert request.http.url == (
        "https://unwise.me/cutout_fits?version=neo7&ra=186.9000000&dec=26.1000000"
        "&size=44&bands=12"
    )


def test_images_are_those_of_the_viewer():
    images = read(archive(GOOD))
    for band, content in zip(BANDS, GOOD.values(), strict=True):
        truth = interpolate(read_pixels(content), COORD, band)
        assert images[band].data == pytest.approx(truth.data, rel=1e-4, abs=1e-4)
        assert images[band].mask is None
        assert images[band].unit == "nmgy"


def test_of_two_tiles_the_one_that_covers_more_is_taken():
    part = tile(3, (60, 40), crpix=(12.0, 30.5))
    others = {name.replace("1866", "1883"): part for name in GOOD}
    images = read(archive(others | GOOD))
    truth = interpolate(read_pixels(GOOD[NAME.format("w1")]), COORD, BANDS[0])
    assert images[BANDS[0]].data == pytest.approx(truth.data, rel=1e-4, abs=1e-4)
    alone = read(archive(others))
    assert 0.1 < alone[BANDS[0]].mask.mean() < 0.9


def test_names_in_an_archive_write_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile = {f"../../{name}": content for name, content in GOOD.items()}
    hostile["/tmp/evil.fits"] = b"no"
    images = read(archive(hostile))
    assert set(images) == set(BANDS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_passed_over(kind):
    with pytest.raises(BadAnswerError, match="the archive lacks unwise.W1"):
        read(archive(GOOD, kind=kind))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Sorry, down</html>", "no packed archive but '<html>"),
        (b"", "no packed archive"),
        (archive(GOOD)[:-2000], "cut short"),
        (packed(b"not a tar file" * 100), "the archive is broken"),
        (packed(bytes(10**7)), "unpacks to more than"),
        (archive({NAME.format("w1"): tile(1)}), "lacks unwise.W2; it has w1"),
        (archive(dict.fromkeys(GOOD, tile(1)[:6000])), "is cut short"),
        (archive(dict.fromkeys(GOOD, b"no FITS file")), "no FITS file"),
        (archive({n: tile(1, crpix=(2000, 9)) for n in GOOD}), "does not show"),
    ],
)
def test_what_is_no_archive_of_the_position_is_refused(content, message):
    with pytest.raises(BadAnswerError, match=message):
        read(content)


def test_an_error_is_refused():
    with pytest.raises(BadAnswerError, match="HTTP status 500"):
        read(archive(GOOD), status=500)


def test_it_is_a_source_that_one_can_choose():
    source = SurveyCutouts(sources={"unwise": "unwise_cutouts"})
    [host] = source.plan(COORD.reshape(1), BANDS).hosts
    assert host.host == "unwise.me"
    assert host.n_requests == 1
