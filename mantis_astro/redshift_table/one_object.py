"""`redshift_at`: p(z) of one object, by its name or its position."""

from astropy.table import QTable

from mantis_astro.redshift_table.addition import add_redshifts

__all__ = ["redshift_at"]


def redshift_at(predictor, target, source=None, *, ebv=None, dihedral=False):
    """
    Compute p(z) of one object, by its name or its position.

    Parameters
    ----------
    predictor : Predictor
        The model.
    target, source, ebv, dihedral
        As for `PhotoZ.at`.

    Returns
    -------
    `~astropy.table.Row`
        See `PhotoZ.at`, also for what is raised.
    """
    from mantis_astro.services import SurveyCutouts, find_object

    coord = find_object(target)
    name = target if isinstance(target, str) else coord.to_string(precision=5)
    table = QTable({"name": [name], "coord": coord.reshape(1)})
    source = SurveyCutouts(progress=False) if source is None else source
    options = {"ebv": ebv, "dihedral": dihedral, "progress": False}
    return add_redshifts(predictor, table, source, **options)[0]
