"""Configuration of the downloads: time-outs, retries, waiting."""

from astropy import config

__all__ = ["Conf", "conf"]

_SECTION = "mantis_astro.files"


def _item(default, description):
    return config.ConfigItem(default, description, module=_SECTION)


class Conf(config.ConfigNamespace):
    """
    Configuration of `mantis_astro.files`, read at each call.

    Set an item for the session (``conf.read_timeout = 10``), for a block
    (``with conf.set_temp("read_timeout", 10):``) or for good, under ``[files]`` in the
    file ``mantis_astro.cfg`` of astropy's configuration folder.
    """

    connect_timeout = _item(10.0, "Seconds to wait for a connection.")
    read_timeout = _item(60.0, "Seconds to wait for more bytes.")
    deadline = _item(21600.0, "Seconds that one fetch may take, all tries together.")
    retries = _item(
        5, "Tries in a row that may bring nothing new before a fetch is given up."
    )
    backoff = _item(
        1.0, "Seconds before the second try; doubled, with jitter, for each further."
    )
    lock_timeout = _item(
        300.0,
        "Seconds without progress after which waiting for another process that "
        "fetches the same file is given up.",
    )


conf = Conf()
