"""Configuration of the documentation."""

from pathlib import Path

from sphinx_astropy.conf.v3 import *  # noqa: F403

import mantis_astro
from mantis_astro.flags import describe_flags

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
html_theme_options = {"use_edit_page_button": False}
html_copy_source = False
default_role = "obj"
nitpicky = False
numpydoc_xref_param_type = False

intersphinx_mapping = {
    name: (url, None)
    for name, url in {
        "python": "https://docs.python.org/3/",
        "numpy": "https://numpy.org/doc/stable/",
        "astropy": "https://docs.astropy.org/en/stable/",
        "astroquery": "https://astroquery.readthedocs.io/en/stable/",
        "photutils": "https://photutils.readthedocs.io/en/stable/",
        "reproject": "https://reproject.readthedocs.io/en/stable/",
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
    "within_subsection_order": "FileNameSortKey",
}


def write_generated_pages(folder):
    """Write the pages that are made from tables in the code."""
    folder.mkdir(exist_ok=True)
    rows = [
        f'   {row["bit"]}, {row["value"]}, {row["name"]}, "{row["description"]}"'
        for row in describe_flags()
    ]
    table = "\n".join(
        [
            ".. csv-table::",
            "   :header: bit, value, name, meaning",
            "   :widths: 5, 10, 25, 60",
            "",
            *rows,
            "",
        ]
    )
    (folder / "flags.rst").write_text(table)


write_generated_pages(Path(__file__).parent / "generated")
