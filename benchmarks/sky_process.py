"""A local sky in a process of its own, so that it does not share the client's time."""

import multiprocessing
from contextlib import contextmanager

from mantis_astro.services import conf
from mantis_astro.simulation.server import LocalSky


def _serve(pipe, options):
    with LocalSky(**options) as sky:
        pipe.send(sky.urls)
        while (question := pipe.recv()) is not None:
            pipe.send(_answer(sky, *question))


def _answer(sky, name, arguments):
    if name == "requests":
        return len(sky.requests)
    if name == "traffic":
        return len(sky.requests), sum(request.n_bytes for request in sky.requests)
    if name == "identify":
        return [sky.identify(image) for image in arguments]
    if name == "bans":
        return _count_in_bans(sky, arguments)
    if name == "seconds":
        return sum(r.stop - r.start for r in sky.find_requests(host=arguments))
    return max(sky.repeats().values())


def _count_in_bans(sky, grace):
    """Requests that came while their host had asked to be left alone."""
    bans = {}
    for request in sky.requests:
        if request.retry_after is not None:
            begin = request.stop + grace  # others were on their way
            bans.setdefault(request.host, []).append(
                (begin, request.stop + float(request.retry_after))
            )
    return sum(
        any(begin < request.start < end for begin, end in bans.get(request.host, ()))
        for request in sky.requests
    )


class RemoteSky:
    """What a benchmark asks of the sky in the other process."""

    def __init__(self, pipe, urls):
        self._pipe = pipe
        self.urls = urls

    def _ask(self, *question):
        self._pipe.send(question)
        return self._pipe.recv()

    def n_requests(self):
        """Requests so far."""
        return self._ask("requests", None)

    def traffic(self):
        """Requests, and bytes of answers, so far."""
        return self._ask("traffic", None)

    def most_repeats(self):
        """How often the most repeated request came."""
        return self._ask("repeats", None)

    def busy_seconds(self, host):
        """Time that requests to a host took on its side, all together."""
        return self._ask("seconds", host)

    def count_in_bans(self, grace):
        """Requests inside a ban, but for its first seconds of grace."""
        return self._ask("bans", grace)

    def identify(self, images):
        """Whose image each array is."""
        return self._ask("identify", images)


@contextmanager
def remote_sky(**options):
    """
    Start a sky in another process and point the services at it.

    Parameters
    ----------
    **options
        Options of `~mantis_astro.simulation.server.LocalSky`.

    Yields
    ------
    RemoteSky
        To ask what happened there.
    """
    context = multiprocessing.get_context("spawn")
    pipe, end = context.Pipe()
    process = context.Process(target=_serve, args=(end, options), daemon=True)
    process.start()
    sky = RemoteSky(pipe, pipe.recv())
    names = ("panstarrs_filenames", "panstarrs_fitscut", "legacy_survey")
    previous = {name: getattr(conf, name) for name in names}
    try:
        for name in names:
            setattr(conf, name, sky.urls[name])
        yield sky
    finally:
        for name, value in previous.items():
            setattr(conf, name, value)
        pipe.send(None)
        process.join(5)
