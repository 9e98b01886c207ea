"""Configuration: servers, time-outs, retries, cache. Read at each call, never kept."""

from astropy import config

from mantis_astro.politeness import PROJECT_PAGE

__all__ = ["Conf", "conf"]

_SECTION = "mantis_astro.services"


def _item(default, description):
    return config.ConfigItem(default, description, module=_SECTION)


class Conf(config.ConfigNamespace):
    """
    Configuration of `mantis_astro.services`.

    Set an item for the session (``conf.timeout = 60``), for a block
    (``with conf.set_temp("timeout", 60):``) or for good, under ``[services]`` in the
    file ``mantis_astro.cfg`` of astropy's configuration folder.
    """

    panstarrs_filenames = _item(
        "https://ps1images.stsci.edu/cgi-bin/ps1filenames.py",
        "Pan-STARRS1 server that lists the images at a position.",
    )
    panstarrs_fitscut = _item(
        "https://ps1images.stsci.edu/cgi-bin/fitscut.cgi",
        "Pan-STARRS1 cutout server.",
    )
    legacy_survey = _item(
        "https://www.legacysurvey.org/viewer/fits-cutout",
        "Legacy Survey viewer, which serves GALEX and unWISE as well.",
    )
    hips = _item(
        "https://alasky.cds.unistra.fr/hips-image-services/hips2fits",
        "CDS hips2fits server.",
    )
    panstarrs_tiles = _item(
        "https://stpubdata.s3.amazonaws.com/panstarrs/ps1/public",
        "Address above the folder rings.v3.skycell of Pan-STARRS1's stacks.",
    )
    unwise_tiles = _item(
        "https://unwise.me/data/neo7/unwise-coadds/fulldepth",
        "Address above the folders of unWISE's coadds.",
    )
    unwise_cutouts = _item(
        "https://unwise.me/cutout_fits", "unWISE's own cutout server."
    )
    datalab_tap = _item(
        "https://datalab.noirlab.edu/tap",
        "Astro Data Lab's server of tables, which has SDSS and DESI.",
    )
    vizier_tap = _item(
        "https://tapvizier.cds.unistra.fr/TAPVizieR/tap", "VizieR's server of tables."
    )
    rows_per_query = _item(100_000, "Rows of a table that one query may bring.")
    query_timeout = _item(
        1200.0, "Seconds that an archive may take for one query of a table."
    )
    connect_timeout = _item(10.0, "Seconds to wait for a connection.")
    timeout = _item(30.0, "Seconds to wait for the next byte of an answer.")
    answer_timeout = _item(
        120.0, "Seconds for one whole answer, first try to last byte."
    )
    total_timeout = _item(
        900.0, "Seconds for a request with all its retries and waits."
    )
    retries = _item(4, "How often a request is repeated after its first try.")
    backoff = _item(1.0, "Seconds before the first repetition; doubles each time.")
    backoff_max = _item(60.0, "Longest wait before a repetition, in seconds.")
    retry_after_max = _item(
        300.0, "Longest wait that a server's Retry-After is granted, in seconds."
    )
    give_up_after = _item(
        300.0, "Seconds without one good answer after which a host counts as down."
    )
    unreachable_after = _item(
        15.0,
        "Seconds after which a host counts as down to which there was no connection.",
    )
    connections_per_host = _item(4, "Requests under way at one host.")
    requests_per_second = _item(
        0.0, "Requests started per second at one host; 0 for no limit but the above."
    )
    positions_per_list = _item(200, "Positions in one request for PS1's file list.")
    objects_per_tile = _item(
        5, "Objects on a tile from which on 'dense tiles' reads it."
    )
    tile_gap_bytes = _item(
        1_000_000, "Bytes of a tile that are read in vain rather than asked around."
    )
    tile_cache_bytes = _item(
        2e9, "Largest size of the parts of tiles that are kept on disk; 0 for none."
    )
    seconds_per_request = _item(
        0.8, "Typical seconds per answer, for the time that a plan expects."
    )
    contact = _item(
        PROJECT_PAGE,
        "Contact that servers are told in the User-Agent; your e-mail is better.",
    )
    cache = _item(
        default=True,
        description="Whether single images are kept in astropy's cache folder.",
    )


conf = Conf()
