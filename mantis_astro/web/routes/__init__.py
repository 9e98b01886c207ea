"""Routes of the interface, topic by topic: each makes a router around a `Desk`."""

from mantis_astro.web.routes.asking import UPLOAD, asking
from mantis_astro.web.routes.listing import listing
from mantis_astro.web.routes.prediction import prediction
from mantis_astro.web.routes.results import results

__all__ = ["UPLOAD", "asking", "listing", "prediction", "results"]
