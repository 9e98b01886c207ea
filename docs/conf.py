"""Configuration of the documentation."""

import builtins
import csv
import itertools
import pydoc
import re
import sys
from pathlib import Path

from sphinx.util.nodes import make_refnode
from sphinx_astropy.conf.v3 import *  # noqa: F403
from sphinx_gallery.sorting import ExplicitOrder

import mantis_astro
from mantis_astro.flags import FLAG_TABLE
from mantis_astro.pdf.columns import OUTPUT_COLUMNS

project = "mantis_astro"
author = "The mantis_astro developers"
project_copyright = f"2026, {author}"
version = release = mantis_astro.__version__

extensions += ["sphinx_gallery.gen_gallery"]  # noqa: F405
exclude_patterns += [  # noqa: F405
    "changes/*",
    "examples/*",
    "generated/*",
    "tutorials/*.ipynb",
    "**/sg_execution_times.rst",
]
html_title = project
html_theme_options = {
    "use_edit_page_button": False,
    "header_links_before_dropdown": 6,
    "logo": {"text": project},
    "goatcounter_analytics_url": "",  # visits are not counted
}
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
default_role = "obj"
# Every name in backticks must lead somewhere. Names of other packages become links
# where their inventories can be fetched, and are looked up by import where not.
nitpicky = True
nitpick_ignore = [
    # bases and inner parts that are named, and have no page as no user makes them
    ("py:class", "mantis_astro.pdf.density.BinnedDensity"),
    ("py:class", "mantis_astro.priors.density.TabulatedDensity"),
    ("py:class", "mantis_astro.services.base.CutoutServiceClass"),
    ("py:obj", "mantis_astro.priors.prospector_prior.TabulatedRedshiftPrior"),
    ("py:obj", "mantis_astro.priors.samplers.bilby_prior.BilbyRedshift"),
    ("py:obj", "mantis_astro.priors.samplers.jax_density.JaxDensity"),
    ("py:obj", "mantis_astro.priors.samplers.numpyro_distribution.NumpyroRedshift"),
    ("py:obj", "mantis_astro.priors.samplers.pyro_distribution.PyroRedshift"),
    ("py:obj", "mantis_astro.services.scheduler.Clock"),
    ("py:obj", "mantis_astro.services.transport.HttpTransport"),
    # of packages whose pages are not searched
    ("py:obj", "lsdb.Catalog"),
    ("py:obj", "pyarrow.Table"),
]
# Pictures are drawn by the build, from programs in docs/pictures.
plot_formats = [("png", 110)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_working_directory = str(Path(__file__).parent)
plot_rcparams = {
    "figure.figsize": (6.4, 3.4),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9.5,
}
plot_apply_rcparams = True
numpydoc_xref_param_type = False
autodoc_typehints = "none"  # docstrings say more: shapes and units

OTHERS = {
    "astropy",
    "astroquery",
    "matplotlib",
    "mocpy",
    "numpy",
    "photutils",
    "prospect",
    "pyarrow",
    "qp",
    "reproject",
    "scipy",
    "sedpy",
    "specutils",
    "torch",
}
intersphinx_mapping = {
    name: (url, None)
    for name, url in {
        "python": "https://docs.python.org/3/",
        "numpy": "https://numpy.org/doc/stable/",
        "astropy": "https://docs.astropy.org/en/stable/",
        "astroquery": "https://astroquery.readthedocs.io/en/stable/",
        "matplotlib": "https://matplotlib.org/stable/",
        "photutils": "https://photutils.readthedocs.io/en/stable/",
        "reproject": "https://reproject.readthedocs.io/en/stable/",
        "scipy": "https://docs.scipy.org/doc/scipy/",
        "specutils": "https://specutils.readthedocs.io/en/stable/",
        "torch": "https://docs.pytorch.org/docs/stable/",
    }.items()
}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
    "within_subsection_order": ExplicitOrder(
        [
            "plot_first_redshifts.py",
            "plot_three_surveys.py",
            "plot_fetch_survive_resume.py",
            "plot_is_my_sample_like_training.py",
            "plot_refit_own_spectra.py",
            "plot_train_and_recalibrate.py",
            "plot_prospector_prior.py",
            "plot_solve_last_layer.py",
            "*",
        ]
    ),
}


def write_csv_table(path, header, widths, rows):
    """Write one table as a page to include."""
    lines = [
        ".. csv-table::",
        f"   :header: {', '.join(header)}",
        f"   :widths: {', '.join(map(str, widths))}",
        "",
        *("   " + ", ".join(f'"{cell}"' for cell in row) for row in rows),
        "",
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines))


def write_benchmarks(folder, path):
    """Write one page of all tables that ``tox run -e bench`` has left."""
    lines = []
    for file in sorted(folder.glob("*.csv")):
        title, _, rows = file.read_text().partition("\n")
        name, _, title = title.lstrip("# ").partition(": ")
        lines += [
            f"``{name}``: {title} (:download:`file </{folder.name}/{file.name}>`)",
            "",
            ".. csv-table::",
            "   :header-rows: 1",
            "",
        ]
        rows = re.sub(r"([\\|*`_])", r"\\\1", rows)  # a table is no markup
        lines += [f"   {row}" for row in rows.splitlines()] + [""]
    path.write_text("\n".join(lines))


def write_real_tables(file, path):
    """Write a short table for each sample of real galaxies, without the errors."""
    rows = csv.DictReader(file.read_text().splitlines()[1:])
    rows = [row for row in rows if row["point"] == "median" and row["sigma_nmad"]]
    formats = {  # column: (header, factor, digits)
        "bias": ("bias", 1, "+.4f"),
        "sigma_nmad": ("sigma_nmad", 1, ".4f"),
        "out_005": ("> .05 (%)", 100, ".1f"),
        "out_015": ("> .15 (%)", 100, ".1f"),
        "cov_68": ("in 68 %", 100, ".0f"),
        "pit_ks": ("PIT KS", 1, ".2f"),
    }
    errors = {
        "sigma_nmad": "nmad_err",
        **{name: f"{name}_err" for name in ("out_005", "out_015", "cov_68", "pit_ks")},
    }
    lines = []
    for sample, rows_of_it in itertools.groupby(rows, key=lambda row: row["sample"]):
        group = list(rows_of_it)
        lines += [
            f".. csv-table:: {sample}, {int(group[0]['n']):,} galaxies",
            f"   :header: method, {', '.join(title for title, *_ in formats.values())}",
            "   :widths: 36, 11, 13, 11, 11, 9, 9",
            "",
        ]
        for row in group:
            cells = [
                format(factor * float(row[name]), digits)
                for name, (_, factor, digits) in formats.items()
            ]
            lines.append(f'   "{row["method"]}", ' + ", ".join(cells))
        largest = [
            format(factor * max(float(row[errors[name]]) for row in group), digits)
            if name in errors
            else ""
            for name, (_, factor, digits) in formats.items()
        ]
        lines += ["   *largest error*, " + ", ".join(largest), ""]
    path.write_text("\n".join(lines))


def write_real_images(file, path):
    """Write the table of single real galaxies with images."""
    rows = csv.DictReader(file.read_text().splitlines()[1:])
    lines = [
        ".. csv-table::",
        "   :header: image, z_spec, z_median (68 % interval), bands, flags",
        "   :widths: 14, 9, 20, 25, 32",
        "",
    ]
    for row in rows:
        if row["n"] == "1":
            redshifts, bands, flags = row["note"].split("; ")
            z_spec, z_median = redshifts.replace("z_spec ", "").split(", z_median ")
            lines.append(
                f'   {row["sample"]}, {z_spec}, {z_median}, "{bands}", "{flags}"'
            )
    path.write_text("\n".join([*lines, ""]))


generated = Path(__file__).parent / "generated"
flags = [(f.bit, 1 << f.bit, f.name, f.description) for f in FLAG_TABLE]
write_csv_table(
    generated / "flags.rst", ("bit", "value", "name", "meaning"), (5, 10, 25, 60), flags
)
columns = [(f"``{c.name}``", c.description, c.ucd) for c in OUTPUT_COLUMNS]
write_csv_table(
    generated / "columns.rst", ("column", "what it is", "UCD"), (15, 45, 40), columns
)
benchmarks = Path(__file__).parent / "benchmarks"
write_benchmarks(benchmarks, generated / "benchmarks.rst")
write_real_tables(benchmarks / "real_tables.csv", generated / "real_tables.rst")
write_real_images(benchmarks / "real_tables.csv", generated / "real_images.rst")


def locate(name):
    """Object of that name; None where there is none, or what it needs is absent."""
    try:
        return pydoc.locate(name)
    except pydoc.ErrorDuringImport:
        return None


def find_name(app, env, node, contnode):
    """
    Lead a name that is not documented under just that name to where it is.

    Names of this package may be short, or those that users import, if there is one
    documented object they can mean. Names of other packages stay plain text where
    there is no inventory to link to, if they exist when imported.
    """
    name = node["reftarget"]
    root = name.partition(".")[0]
    if root in OTHERS | sys.stdlib_module_names or hasattr(builtins, root):
        return contnode if locate(name) is not None else None
    value = locate(name if root == "mantis_astro" else f"mantis_astro.{name}")
    if root == "mantis_astro" and value is None:
        return None
    short = re.sub(r"^([a-z_]\w*\.)+", "", name)  # without packages and modules
    for text in (short, getattr(value, "__qualname__", short)):  # or as it is inherited
        found = env.domains.python_domain.find_obj(env, None, None, text, None, 1)
        found = [(full, entry) for full, entry in found if not entry.aliased]
        if len(found) == 1:
            ((full, entry),) = found
            place = (node["refdoc"], entry.docname, entry.node_id)
            return make_refnode(app.builder, *place, contnode, full)
    return None


def setup(app):
    """Look for names after intersphinx has had its turn."""
    app.connect("missing-reference", find_name, priority=900)
