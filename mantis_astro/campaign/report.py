"""`write_report`: results of a campaign as a report."""

import numpy as np

from mantis_astro.atomic import atomic_file
from mantis_astro.redshift_surveys import get_redshift_survey
from mantis_astro.tables import read_table

__all__ = ["write_report"]

_SHOWN = (
    "model",
    "sample",
    "n",
    "sigma_nmad",
    "bias_mean",
    "outlier_fraction_005",
    "outlier_fraction_015",
    "cde_loss",
    "crps",
    "coverage_68",
    "pit_ks",
)


def write_report(folder, config, facts, cards):
    """
    Write ``report.rst``.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Of the campaign.
    config : CampaignConfig
        Its configuration.
    facts : dict of str to dict
        What each step left, by its name.
    cards : dict of str to ModelCard
        Cards of the models.
    """
    surveys = [get_redshift_survey(name) for name in config.redshifts.surveys]
    lines = _titled("A campaign of mantis_astro", "=")
    lines += _titled("Redshifts", "-")
    lines += [f"* {s.title}: {s.cuts} ({s.reference})" for s in surveys] + [""]
    counts = facts["sample"]["counts"]
    lines += [f"* {what}: {n:,}" for what, n in counts.items()] + [""]
    sample = read_table(folder / "sample.fits")
    for name in ("survey", "part"):
        values, n = np.unique(np.asarray(sample[name], str), return_counts=True)
        each = (f"{v} {k:,}" for v, k in zip(values.tolist(), n.tolist(), strict=True))
        lines += [f"* by {name}: {', '.join(each)}"]
    images = facts["cutouts"]["images"]
    lines += ["", *_titled("Images", "-")]
    lines += [f"* {state}: {n:,}" for state, n in images.items() if n]
    lines += [
        f"* requests to {h}: {n:,}" for h, n in facts["cutouts"]["requests"].items()
    ]
    lines += ["", *_titled("Models", "-")]
    for name, card in cards.items():
        what = (
            f"``models/{name}/{name}.safetensors``: {card.description}. Trained on: "
            f"{card.training_sample}. Prior: {card.training_prior}. Do not trust: "
            f"{card.caveats}."
        )
        lines += [what, ""]
    metrics = read_table(folder / "metrics.ecsv")
    lines += _titled("On galaxies held out", "-")
    how = (
        f"Point estimate: {config.evaluation.point} of p(z). Magnitudes: "
        f"{config.evaluation.magnitude_band}, measured on the images. Errors are in "
        "``metrics.ecsv``."
    )
    lines += [how, "", *_listed(metrics[list(_SHOWN)])]
    compared = read_table(folder / "comparison.ecsv")
    if len(compared):
        lines += _titled("Model against model", "-")
        lines += ["The difference is that of the second minus the first.", ""]
        lines += _listed(compared)
    lines += _titled("What it took", "-")
    lines += [f"* {step}: {f['seconds']:,} s" for step, f in facts.items()] + [""]
    cited = {cite for card in cards.values() for cite in card.citations}
    lines += [*_titled("To cite", "-"), ", ".join(sorted(cited)), ""]
    with atomic_file(folder / "report.rst") as temporary:
        temporary.write_text("\n".join(lines))


def _titled(text, line):
    return [text, line * len(text), ""]


def _listed(table):
    """Make a table of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    rows = [table.colnames]
    rows += [[_cell(row[name]) for name in table.colnames] for row in table]
    for row in rows:
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return [*lines, ""]


def _cell(value):
    if np.ma.is_masked(value):
        return ""
    value = getattr(value, "value", value)
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
