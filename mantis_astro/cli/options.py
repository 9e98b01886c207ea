"""Parts that commands share: exit codes, arguments of tables, and their reading."""

import logging
from pathlib import Path

log = logging.getLogger("mantis_astro")

DONE, ERROR, INCOMPLETE, INTERRUPTED = 0, 1, 3, 130


def add_table_arguments(sub):
    """Add the table of galaxies and the names of its coordinates."""
    sub.add_argument("table", help="table of galaxies; - reads standard input")
    sub.add_argument("--ra", help="column of right ascension, or of sky coordinates")
    sub.add_argument("--dec", help="column of declination")


def add_photometry_arguments(sub):
    """Add options that describe a table of fluxes or magnitudes."""
    sub.add_argument(
        "--survey",
        metavar="NAME",
        help="survey of the fluxes or magnitudes in the table, or several surveys, "
        "separated by commas: 'legacy survey dr10', sdss, ps1, des, galex, allwise, "
        "'lsst dp1', hsc, 2mass",
    )
    sub.add_argument(
        "--band",
        action="append",
        metavar="BAND=COLUMN[,ERROR[,Vega]]",
        help="column of magnitudes (AB, unless Vega is stated) or fluxes of a band, "
        "and of their errors, such as decam_g=g_mag,g_mag_err or "
        "wise_w1=w1,w1_err,Vega; may be repeated",
    )


def read_galaxies(path, options):
    """Read a table, and convert its photometry to fluxes if options describe it."""
    from mantis_astro.tables import read_table

    if not reads_photometry(options):
        return read_table(path)
    from mantis_astro import read_photometry

    columns, system = {}, {}
    for text in options.band or ():
        band, is_named, names = text.partition("=")
        if not is_named:
            msg = f"'--band' must be such as decam_g=g_mag,g_mag_err, got {text!r}"
            raise ValueError(msg)
        if (band := band.strip()) in columns:
            msg = f"'--band' names the columns of {band} twice"
            raise ValueError(msg)
        names = split(names)
        columns[band] = tuple(filter(None, names[:2]))
        system[band] = ",".join(names[2:]) or "AB"
    return read_photometry(
        path,
        survey=split(options.survey) if options.survey else None,
        columns=columns or None,
        system=system,
        ra=options.ra,
        dec=options.dec,
        keep="all",
    )


def tell_of_photometry(table, options):
    """Tell of columns of fluxes or magnitudes that are there and not read."""
    from mantis_astro.catalogs import guess_surveys

    if reads_photometry(options) or not (surveys := guess_surveys(table)):
        return
    log.info(
        "%s has fluxes or magnitudes of %s, which are not read: --survey %s reads "
        "them, and needs no images",
        options.table,
        " and ".join(surveys),
        ",".join(f"'{name}'" if " " in name else name for name in surveys),
    )


def reads_photometry(options):
    """Return whether options describe fluxes or magnitudes."""
    return bool(options.survey or options.band)


def add_spectra_arguments(sub):
    """Add the table with redshifts, the model to write, and their options."""
    add_table_arguments(sub)
    sub.add_argument("-o", "--output", required=True, help="model to write")
    sub.add_argument("--overwrite", action="store_true", help="replace the output")
    sub.add_argument("--z-spec", default="z_spec", help="column of the redshifts")
    sub.add_argument("--ebv", help="column of E(B-V), or one number for all")
    sub.add_argument("--seed", type=int, default=0, help="seed of order and split")
    add_photometry_arguments(sub)


def add_adaptation_arguments(sub):
    """Add what changes a model of fluxes or of images takes."""
    add_spectra_arguments(sub)
    add_source_arguments(sub)
    add_model_argument(
        sub,
        "name or file (default: the embedded one of fluxes or, with --cutouts or "
        "--store, of images)",
    )


def given(values):
    """Keep the arguments that were given, those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def read_spectra(options):
    """Read a table with redshifts; return it, the redshifts, and E(B-V) or its name."""
    _check_free(options.output, replace=options.overwrite)
    table = read_galaxies(options.table, options)
    ebv = number_or_name(options.ebv)
    check_columns(table, options.z_spec, *([ebv] if isinstance(ebv, str) else []))
    return table, table[options.z_spec], ebv


def save_if_better(photoz, output, *, is_better):
    """Write a model, or say that it is not written."""
    if is_better:
        photoz.save(output)
    else:
        log.warning("%s is not written: the model was not improved", output)


def add_model_argument(sub, help):
    """Add the name or the file of a model."""
    sub.add_argument("--model", help=help).words = model_names


def model_names():
    """Name the models, as words that a shell completes."""
    from mantis_astro.models import list_models

    return [card.name for card in list_models()]


def add_source_arguments(sub):
    """Add sources of cutouts other than the surveys' servers."""
    source = sub.add_mutually_exclusive_group()
    source.add_argument("--cutouts", metavar="DIR", help="folder of FITS cutouts")
    source.add_argument("--store", metavar="DIR", help="store filled by fetch")


def find_source(options):
    """Open the source of cutouts that was asked for; None for the surveys' servers."""
    if options.cutouts:
        from mantis_astro import FitsFolder

        return FitsFolder(options.cutouts)
    if options.store:
        from mantis_astro import CutoutStore

        try:
            return CutoutStore(options.store)
        except FileNotFoundError:
            msg = f"no store at {options.store}; 'mantis-astro fetch' makes one"
            raise FileNotFoundError(msg) from None
    return None


def load_photoz(model, *, device=None, for_tables=False):
    """Load a model by its name or its file."""
    from mantis_astro import PhotoZ

    if model is None:
        model = default_model(for_tables=for_tables)
    if model is not None and (Path(model).suffix or Path(model).exists()):
        return PhotoZ.from_file(model, device=device)
    return PhotoZ.from_pretrained(model, device=device)


def default_model(*, for_tables):
    """Name the embedded model of images, or of tables of fluxes."""
    from mantis_astro.models import DEFAULT_MODEL, default_table_model

    return default_table_model() if for_tables else DEFAULT_MODEL


def split(text):
    """Split a list that is separated by commas."""
    return [part.strip() for part in text.split(",")]


def check_columns(table, *names):
    """Raise KeyError, naming the columns there are, if a name is not there."""
    for name in names:
        if name not in table.colnames:
            msg = f"no column '{name}'; there are {', '.join(table.colnames)}"
            raise KeyError(msg)


def check_has_pdf(table, path, prefix):
    """Raise ValueError if a table of predict has no p(z), and say how to get them."""
    if (pz := f"{prefix}pz") in table.colnames:
        return
    if f"{prefix}z_median" in table.colnames:
        msg = (
            f"{path} has redshifts without p(z), which would be in column '{pz}': run "
            "'mantis-astro predict' with an output in .fits, .ecsv or .parquet, as "
            "CSV and VOTable cannot hold them"
        )
    else:
        msg = (
            f"{path} has no p(z), which would be in column '{pz}': "
            "'mantis-astro predict' writes it"
        )
    raise ValueError(msg)


def check_output(path, *, replace, option="--overwrite", table=None):
    """Raise an error before the work if a table cannot be written."""
    from mantis_astro.tables import check_writable
    from mantis_astro.tables.rehearsal import check_holds

    try:
        layout = check_writable(path, overwrite=replace)
        if table is not None:
            check_holds(table, layout)
    except FileExistsError:
        msg = f"{path} exists; {option} replaces it"
        raise FileExistsError(msg) from None


def add_results_arguments(sub, written, drawn=None):
    """Add options that write the printed results to a table and to a picture."""
    if drawn:
        sub.add_argument("--plot", metavar="FILE", help=f"also draw {drawn}")
    sub.add_argument("-o", "--output", help=f"also write {written} to this table")
    sub.add_argument("--overwrite", action="store_true", help="replace the output")


def check_results(options):
    """Raise an error before the work if table or picture cannot be written."""
    if options.output:
        check_output(options.output, replace=options.overwrite)
    if plot := getattr(options, "plot", None):
        _check_free(plot, replace=options.overwrite)


def _check_free(path, *, replace):
    from mantis_astro.atomic import check_folder

    if Path(path).exists() and not replace:
        msg = f"{path} exists; --overwrite replaces it"
        raise FileExistsError(msg)
    check_folder(path)


def number_or_name(text):
    """Read a number if it is one, else leave the name of a column."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return text
