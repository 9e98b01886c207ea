"""
A page and an interface over HTTP, for one machine: ``mantis-astro serve``.

What is asked stays in memory: nothing of a request reaches the file system, and nobody
sees the answer to another's request who has not its name.
"""

from mantis_astro.web.application import create_app
from mantis_astro.web.limits import Limits
from mantis_astro.web.server import serve

__all__ = ["Limits", "create_app", "serve"]
