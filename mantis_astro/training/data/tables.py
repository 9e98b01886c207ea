"""Training data from tables: fluxes in columns, or positions of cutouts in a store."""

import numpy as np

from mantis_astro.binned import true_redshift
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.inputs import dust_inputs
from mantis_astro.records import record
from mantis_astro.tables import read_table
from mantis_astro.tables.coordinates import find_coordinates
from mantis_astro.training.batches.batch import ArrayData
from mantis_astro.training.batches.sampling import split_by_sky

__all__ = ["SkySplit", "TableData"]


@record("sky_split")
class SkySplit:
    """
    Division of the galaxies of a table by their positions on the sky.

    Attributes
    ----------
    validation, test : float
        Shares of the sky that are held out.
    nside : int
        Of the HEALPix pixels that are kept together.
    seed : int
        Which pixels go where.
    """

    validation: float = 0.1
    test: float = 0.1
    nside: int = 64
    seed: int = 0

    def parts(self, coord):
        """
        Divide positions.

        Parameters
        ----------
        coord : `~astropy.coordinates.SkyCoord`
            Positions, shape (n,).

        Returns
        -------
        `~numpy.ndarray` of str
            See `split_by_sky`.
        """
        shares = (1 - self.validation - self.test, self.validation, self.test)
        return split_by_sky(coord, nside=self.nside, shares=shares, seed=self.seed)


@record("table_data")
class TableData:
    """
    Galaxies of a table of fluxes, for a photometric network.

    Attributes
    ----------
    table : str
        File that `~mantis_astro.tables.files.read_table` reads, with columns as
        `~mantis_astro.models.PhotometrySpec` names them, positions, and redshifts.
    z_spec : str
        Column of the redshifts; rows where it is masked or NaN are left out.
    ebv : tuple of str
        Columns of E(B-V), one for all maps or one each; none for the defaults.
    split : SkySplit
        What is held out.
    description : str
        What the galaxies are.

    Examples
    --------
    >>> from mantis_astro.training import TableData
    >>> TableData("stripe82.fits").split.nside
    64
    """

    table: str
    z_spec: str = "z_spec"
    ebv: tuple = ()
    split: SkySplit = SkySplit()
    description: str = ""

    def open(self, config):
        """
        Read the table.

        Parameters
        ----------
        config : TrainingConfig
            Says what the network reads, and how galaxies are drawn.

        Returns
        -------
        ArrayData
            Its galaxies.

        Raises
        ------
        KeyError
            If a column is not there.
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if the network reads images.
        """
        if not config.spec.reads_tables:
            msg = "table_data has no images: take store_data, or a photometric network"
            raise InputSpecError(msg)
        table = read_table(self.table)
        images, observed = config.spec.arrays(table)
        coord, good = find_coordinates(table)
        z = redshifts(table, self.z_spec)
        good &= np.isfinite(z) & observed.any(1)
        rows = np.flatnonzero(good)
        ebv = ebv_columns(table, self.ebv, config.spec.ebv_maps)
        ebv, _ = dust_inputs(config.spec, ebv, len(table))
        parts = np.full(len(table), "left out", dtype="<U10")
        parts[rows] = self.split.parts(coord[rows])
        return ArrayData(
            images,
            observed,
            ebv.numpy(),
            z,
            z_edges=config.z_edges,
            parts=parts,
            sampling=config.sampling,
            seed=config.seed,
            description=self.description or f"{len(rows):,} rows of {self.table}",
        )


def redshifts(table, name):
    """
    Read the redshifts of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    name : str
        Their column.

    Returns
    -------
    `~numpy.ndarray`
        Plain numbers, NaN where there is none.

    Raises
    ------
    KeyError
        If there is no such column.
    """
    if name not in table.colnames:
        msg = f"no column '{name}'; there are {', '.join(table.colnames)}"
        raise KeyError(msg)
    return true_redshift(table[name])


def ebv_columns(table, names, maps):
    """
    Read E(B-V) of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    names : sequence of str
        Its columns: none, one for all maps, or one for each.
    maps : sequence of str
        Dust maps that the network reads.

    Returns
    -------
    None, column or dict
        As `~mantis_astro.dust.resolve_ebv` takes it.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if it is another number of columns.
    """
    if len(names) > 1 and len(names) != len(maps):
        msg = f"'ebv' must name one column, or one for each of {maps}, got {names}"
        raise InputSpecError(msg)
    if len(names) > 1:
        return {m: table[name] for m, name in zip(maps, names, strict=True)}
    return table[names[0]] if names else None
