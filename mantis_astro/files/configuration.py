"""Configuration of the downloads: time-outs, retries, waiting."""

from astropy import config

__all__ = ["Conf", "conf"]


class Conf(config.ConfigNamespace):
    """Configuration of `mantis_astro.files`, read at each call."""

    rootname = "mantis_astro"
    connect_timeout = config.ConfigItem(10.0, "Seconds to wait for a connection.")
    read_timeout = config.ConfigItem(60.0, "Seconds to wait for more bytes.")
    deadline = config.ConfigItem(
        21600.0, "Seconds that one fetch may take, all tries together."
    )
    retries = config.ConfigItem(
        5, "Tries in a row that may bring nothing new before a fetch is given up."
    )
    backoff = config.ConfigItem(
        1.0, "Seconds before the second try; doubled, with jitter, for each further."
    )
    lock_timeout = config.ConfigItem(
        300.0,
        "Seconds without progress after which waiting for another process that "
        "fetches the same file is given up.",
    )


conf = Conf()
