"""Registry of redshift surveys: their servers, and their cuts in quality."""

from dataclasses import dataclass

from mantis_astro.redshift_surveys.boxes import SkyBox
from mantis_astro.services import conf

__all__ = [
    "RedshiftSurvey",
    "get_redshift_survey",
    "list_redshift_surveys",
    "register_redshift_survey",
    "unregister_redshift_survey",
]

_surveys: dict = {}


@dataclass(frozen=True)
class RedshiftSurvey:
    """
    A table of spectroscopic redshifts on a server of the Virtual Observatory (TAP).

    Columns are expressions of ADQL, such as ``z`` or ``"cz" / 299792.458``.

    Attributes
    ----------
    name : str
        Short name, which tables carry in the column ``survey``.
    title : str
        Name for people.
    server : str
        Address of the TAP service, or the item of `mantis_astro.services.conf` that
        holds it.
    table : str
        The table, as ADQL writes it.
    ra, dec, z : str
        Position in degrees, and heliocentric redshift.
    where : str
        Condition of ADQL for a redshift that one may train on.
    cuts : str
        The same in words.
    reference : str
        What to cite, a bibcode.
    z_err, quality, object_id : str or None
        Error of the redshift; a number that is higher for better redshifts; name.
    further : tuple of (str, str)
        Further columns: the name they get, and the expression.
    regions : tuple of SkyBox
        Where the survey looked; nothing is asked elsewhere.
    n_redshifts : float
        About how many good redshifts there are, for a plan.

    Examples
    --------
    >>> from mantis_astro.redshift_surveys import SkyBox, get_redshift_survey
    >>> sixdf = get_redshift_survey("6df")
    >>> sixdf.cuts
    'quality 3 or 4, velocity above 600 km/s'
    >>> print(sixdf.query(SkyBox(10, 20, -40, -30), 1000))
    SELECT TOP 1000 RAJ2000 AS s_ra, ... FROM "VII/259/6dfgs" WHERE ...
    """

    name: str
    title: str
    server: str
    table: str
    ra: str
    dec: str
    z: str
    where: str
    cuts: str
    reference: str
    z_err: str | None = None
    quality: str | None = None
    object_id: str | None = None
    further: tuple = ()
    regions: tuple = (SkyBox(),)
    n_redshifts: float = 0.0

    @property
    def address(self):
        """Address of the TAP service, a str."""
        if "//" in self.server:
            return self.server.rstrip("/")
        return getattr(conf, self.server).rstrip("/")

    @property
    def columns(self):
        """Expressions of the requested columns, a dict by the names of columns."""
        # ``dec`` would be a reserved word of SQL
        columns = {"s_ra": self.ra, "s_dec": self.dec, "z_spec": self.z}
        columns |= {
            "z_spec_err": self.z_err,
            "quality": self.quality,
            "object_id": self.object_id,
        }
        columns |= dict(self.further)
        return {name: column for name, column in columns.items() if column}

    def query(self, box, limit):
        """
        Write the query for a part of the sky.

        Parameters
        ----------
        box : SkyBox
            The part.
        limit : int
            Rows at most.

        Returns
        -------
        str
            ADQL.
        """
        columns = ", ".join(
            f"{column} AS {name}" for name, column in self.columns.items()
        )
        where = f"{self.where} AND {box.condition(self.ra, self.dec)}"
        select = f"SELECT TOP {limit} {columns}"
        return f"{select} FROM {self.table} WHERE {where}"

    def pieces(self, area, side):
        """
        Cut an area into the boxes of single queries.

        Parameters
        ----------
        area : sequence of SkyBox
            The area.
        side : float
            Longest side of a box in degrees.

        Returns
        -------
        list of SkyBox
            Boxes in which the survey looked.
        """
        shared = [region.overlap(box) for region in self.regions for box in area]
        return [piece for box in shared if box for piece in box.pieces(side)]

    def expected(self, area):
        """
        Estimate the number of redshifts in an area, as if they were spread evenly.

        Parameters
        ----------
        area : sequence of SkyBox
            The area.

        Returns
        -------
        float
            The number.
        """
        shared = [region.overlap(box) for region in self.regions for box in area]
        whole = sum(region.area for region in self.regions)
        return self.n_redshifts * sum(box.area for box in shared if box) / whole


def register_redshift_survey(survey):
    """
    Register a redshift survey by its name.

    Parameters
    ----------
    survey : RedshiftSurvey
        The survey.

    Returns
    -------
    RedshiftSurvey
        The same.

    Raises
    ------
    ValueError
        If the name is taken.

    Examples
    --------
    >>> from mantis_astro.redshift_surveys import (
    ...     RedshiftSurvey, get_redshift_survey, register_redshift_survey,
    ...     unregister_redshift_survey)
    >>> survey = register_redshift_survey(RedshiftSurvey(
    ...     "2dfgrs", "2dF Galaxy Redshift Survey", "vizier_tap", '"VII/250/2dfgrs"',
    ...     ra="RAJ2000", dec="DEJ2000", z="z", where="q_z >= 3", cuts="quality 3 to 5",
    ...     reference="2001MNRAS.328.1039C", quality="q_z"))
    >>> get_redshift_survey("2dfgrs").cuts
    'quality 3 to 5'
    >>> unregister_redshift_survey("2dfgrs")
    """
    if survey.name in _surveys:
        msg = f"'survey': there is a redshift survey {survey.name!r} already"
        raise ValueError(msg)
    _surveys[survey.name] = survey
    return survey


def unregister_redshift_survey(name):
    """
    Remove a redshift survey from the list.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    KeyError
        If there is none.
    """
    del _surveys[get_redshift_survey(name).name]


def get_redshift_survey(name):
    """
    Return a redshift survey.

    Parameters
    ----------
    name : RedshiftSurvey or str
        Its name; a survey itself is returned as it is.

    Returns
    -------
    RedshiftSurvey
        The survey.

    Raises
    ------
    KeyError
        If there is none of this name; the message lists those that there are.
    """
    if isinstance(name, RedshiftSurvey):
        return name
    if name not in _surveys:
        msg = f"no redshift survey {name!r}; there are {', '.join(_surveys)}"
        raise KeyError(msg)
    return _surveys[name]


def list_redshift_surveys():
    """
    List the redshift surveys.

    Returns
    -------
    list of str
        Names, in the order in which one of two redshifts is preferred.

    Examples
    --------
    >>> from mantis_astro.redshift_surveys import list_redshift_surveys
    >>> list_redshift_surveys()
    ['desi', 'sdss', 'gama', '6df']
    """
    return list(_surveys)


_C = "299792.458"  # km/s

register_redshift_survey(
    RedshiftSurvey(
        "desi",
        "DESI DR1",
        "datalab_tap",
        "desi_dr1.zpix",
        ra="mean_fiber_ra",  # the table has no other position
        dec="mean_fiber_dec",
        z="z",
        where=(
            "spectype = 'GALAXY' AND zwarn = 0 AND zcat_primary = 't' "
            "AND deltachi2 > 25 AND z > 0.001"
        ),
        cuts=(
            "class galaxy, no warning, best spectrum of its target, delta chi2 above "
            "25, z above 0.001"
        ),
        reference="2025arXiv250314745D",
        z_err="zerr",
        quality="deltachi2",
        object_id="targetid",
        regions=(SkyBox(dec_low=-30.0, dec_high=85.0),),
        n_redshifts=1.3e7,
    )
)
register_redshift_survey(
    RedshiftSurvey(
        "sdss",
        "SDSS DR17",
        "datalab_tap",
        "sdss_dr17.specobj",
        ra="ra",
        dec="dec",
        z="z",
        where="class = 'GALAXY' AND zwarning = 0 AND zerr > 0 AND z > 0.001",
        cuts="class galaxy, no warning, an error of the redshift, z above 0.001",
        reference="2022ApJS..259...35A",
        z_err="zerr",
        object_id="specobjid",
        regions=(SkyBox(dec_low=-25.0, dec_high=85.0),),
        n_redshifts=2.8e6,
    )
)
register_redshift_survey(
    RedshiftSurvey(
        "gama",
        "GAMA DR4",
        "vizier_tap",
        '"J/MNRAS/513/439/gamadr4"',
        ra="RAJ2000",
        dec="DEJ2000",
        z="z",
        where="q_z >= 3 AND IsBest = 1 AND z > 0.001",
        cuts="nQ of 3 or more, best spectrum of its target, z above 0.001",
        reference="2022MNRAS.513..439D",
        quality="q_z",
        regions=(
            SkyBox(29.0, 40.0, -11.5, -2.5),
            SkyBox(128.0, 142.0, -3.5, 4.5),
            SkyBox(173.0, 187.0, -4.5, 3.5),
            SkyBox(210.0, 225.0, -3.5, 4.5),
            SkyBox(337.0, 353.0, -36.5, -28.5),
        ),
        n_redshifts=3.3e5,
    )
)
register_redshift_survey(
    RedshiftSurvey(
        "6df",
        "6dF Galaxy Survey DR3",
        "vizier_tap",
        '"VII/259/6dfgs"',
        ra="RAJ2000",
        dec="DEJ2000",
        z=f"cz / {_C}",
        where="(q_cz = 3 OR q_cz = 4) AND cz > 600",
        cuts="quality 3 or 4, velocity above 600 km/s",
        reference="2009MNRAS.399..683J",
        z_err=f"e_cz / {_C}",
        quality="q_cz",
        regions=(SkyBox(dec_high=1.0),),
        n_redshifts=1.2e5,
    )
)
