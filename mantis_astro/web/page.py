"""The page: four files of the package, read once."""

from importlib.resources import files

from fastapi import Response

__all__ = ["serve_page"]

_FILES = {
    "index.html": "text/html; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def serve_page(app):
    """
    Make an application serve the page.

    Parameters
    ----------
    app : `fastapi.FastAPI`
        The application; changed.
    """
    folder = files("mantis_astro.web") / "static"

    def route(path, name):
        content = (folder / name).read_bytes()

        @app.get(path, include_in_schema=False)
        async def show():
            return Response(content, media_type=_FILES[name])

    route("/", "index.html")
    for name in _FILES:
        route(f"/{name}", name)
