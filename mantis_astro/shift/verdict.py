"""Verdict of a shift report in words, and its thresholds."""

import re

import numpy as np

__all__ = ["CLEAR_AUC", "LEVEL", "STRONG_AUC", "severity", "write_verdict"]

#: False alarm rate of the verdict: a shift is found if the p-value of all tests
#: together is not above it.
LEVEL = 0.01

#: AUC of the domain classifier from which a shift that was found is called clear.
CLEAR_AUC = 0.6

#: AUC from which it is called strong.
STRONG_AUC = 0.8

# The same of the share of the targets that are outliers, in a clump, or lack a value,
# which an AUC hardly sees: 8 % of wild outliers make it 0.54.
_CLEAR_SHARE, _STRONG_SHARE = 0.04, 0.25
_CLEAR_RATIO = 1.5  # of the scatter of one feature, which an AUC of many hardly sees
_OUT_TWICE = 0.02  # of the targets with ood_score above 1, as 1 % of the reference
_SMALL = 0.5  # standard deviations that a mean may move within what is covered
_ENOUGH = 0.2  # of the reference that its weights are worth, to speak for the targets

_SHOWS_IN = {
    "single_feature": "the mean, the scatter or the missing values of one feature",
    "hotelling": "the means of several features together",
    "covariance": "variances and correlations",
    "mahalanobis": "how far from the middle objects lie",
    "outliers": "how many lie far from all others",
    "domain": "the classifier two-sample test",
    "energy_distance": "the energy distance",
    "mmd": "the maximum mean discrepancy",
}  # of equal p-values the first is named

_FEW = 50  # objects with which only a large shift is seen
_NAMED = 3  # features, or bands, in a sentence
_APART = 1.0  # half widths of what was learnt, from which a band's median is named
_FIRST_MAG = re.compile(r"(?:asinh_|ab_)?mag(?:_ab)?_|mag_|flux_")
_PARTS = ("outliers", "clump", "missing")


def severity(auc, p_value, *, level=LEVEL, share=0.0):
    """
    Grade a shift.

    Parameters
    ----------
    auc : float
        Of the domain classifier.
    p_value : float
        Of all tests together.
    level : float, optional
        False alarm rate.
    share : float, optional
        Share of the targets that are outliers, in a clump, or lack a value.

    Returns
    -------
    str
        ``"none"`` where nothing was found at that level, else ``"slight"``,
        ``"clear"`` (AUC from 0.6, or a share from 0.04) or ``"strong"`` (AUC from 0.8,
        or a share from 0.25).

    Examples
    --------
    >>> from mantis_astro.shift import severity
    >>> severity(0.55, 0.3), severity(0.55, 0.001), severity(0.9, 0.001)
    ('none', 'slight', 'strong')
    >>> severity(0.54, 0.001, share=0.08)
    'clear'
    """
    if p_value > level:
        return "none"
    if auc >= STRONG_AUC or share >= _STRONG_SHARE:
        return "strong"
    return "clear" if auc >= CLEAR_AUC or share >= _CLEAR_SHARE else "slight"


def grade(report):
    """
    Grade the shift of a report by its cause.

    Parameters
    ----------
    report : ShiftReport
        The report.

    Returns
    -------
    str
        As `severity`; a scatter of one feature that is 1.5 times the reference's is
        clear whatever the AUC. One that is smaller everywhere, within what the
        reference covers, is no more than clear: better data are no danger.
    """
    share = max((c.share for c in report.changes if c.kind in _PARTS), default=0.0)
    found = severity(
        report.domain.statistic, report.p_value, level=report.level, share=share
    )
    more = [c.sizes for c in report.changes if c.kind == "scatter"]
    if found == "slight" and any(max(sizes) >= _CLEAR_RATIO for sizes in more):
        return "clear"
    return "clear" if found == "strong" and _is_tighter(report) else found


def write_verdict(report):
    """
    Describe the result of a report in a few sentences, with a recommendation.

    Parameters
    ----------
    report : ShiftReport
        The report.

    Returns
    -------
    str
        One paragraph.
    """
    found = report.severity
    tests = (
        f"AUC {report.domain.statistic:.2f}, where 0.5 is chance; p = "
        f"{_p_value(report.p_value, report.level)}, alarm at {report.level:g}"
    )
    first = (
        f"No shift found: all tests together cannot tell the {report.n_target} targets "
        f"from the reference ({tests})."
        if found == "none"
        else f"{found.capitalize()} shift: the {report.n_target} targets are not drawn "
        f"from the reference ({tests})."
    )
    sentences = [first]
    sentences.append(
        f"{100 * report.share_ood:.1f} % of them have an ood_score above 1, as 1 % of "
        "the reference do."
    )
    if found == "none":
        sentences.append(_one_alone(report))
    else:
        sentences += [*_what_changed(report), _what_to_do(report)]
    if min(report.n_reference, report.n_target) < _FEW:
        sentences.append("With so few objects only a large shift can be seen.")
    return " ".join(sentence for sentence in sentences if sentence)


def _p_value(value, level):
    """Write a p-value with two digits, or as many as show its side of the level."""
    text = f"{value:.2g}"
    return text if (float(text) <= level) == (value <= level) else f"{value:.4g}"


def _one_alone(report):
    name = min(_SHOWS_IN, key=lambda test: report.tests[test].p_value)
    p_value = report.tests[name].p_value
    if p_value > report.level:
        return ""
    return (
        f"One of the {len(_SHOWS_IN)} tests alone is below that, {_SHOWS_IN[name]} (p "
        f"= {_p_value(p_value, report.level)}), which is no alarm: one of so many "
        "often is."
    )


# ---- what changed


def _what_changed(report):
    of_bands = report.inputs is not None and len(report.inputs)
    sentences = [_most_different_inputs(report.inputs)] if of_bands else []
    for change in report.changes:
        # A network's features have no names that mean something.
        sentences.append(_WORDS[change.kind](change, report.drivers, not of_bands))
    if not report.changes:
        name = min(_SHOWS_IN, key=lambda test: report.tests[test].p_value)
        sentences.append(
            "No simple change explains it; the shift shows in "
            f"{_SHOWS_IN[name]} (p = {report.tests[name].p_value:.2g})."
        )
    return sentences


def _mean_in_words(change, drivers, named):
    share = f"{_percent(change.share)} of the targets lie beyond "
    share += "where 16 % of the reference do"
    if not named:
        return f"Mean: the features of the network are others; {share} in one."
    text = _listed(
        change, drivers, lambda row, size: f"{_moved(row)} ({size:+.2f} sigma)"
    )
    return f"Mean: {text}; {share}."


def _scatter_in_words(change, drivers, named):
    times = float(np.median(change.sizes))
    more = "more" if times > 1 else "less"
    if not named or not change.features:
        what = "the features of the network" if not named else "the features"
        return (
            f"Scatter: {what} scatter {more}, {times:.2g} times as much along the "
            "main directions of the reference; its correlations are others."
            if not change.features
            else f"Scatter: {what} scatter {more}, {times:.2g} times as much."
        )
    text = _listed(
        change, drivers, lambda row, size: f"{row['feature']} {size:.2g} times as much"
    )
    return (
        f"Scatter: {more} than in the reference, {text}; {_percent(change.share)} of "
        "the targets lie outside of its central 68 %."
    )


def _outliers_in_words(change, drivers, named):
    text = f"Outliers: {_percent(change.share)} of the targets lie scattered outside "
    text += "of the reference"
    if not named:
        return f"{text}; the rest is like it, but for what follows."
    far = _listed(
        change, drivers, lambda row, size: f"{row['feature']} ({size:.1f} sigma)"
    )
    return f"{text}, typically far in {far}."


def _clump_in_words(change, drivers, named):
    text = f"Clump: {_percent(change.share)} of the targets are a group of its own, "
    text += "denser there than the reference"
    if not named:
        return f"{text}."
    place = _listed(
        change, drivers, lambda row, size: f"{row['feature']} at {size:+.1f} sigma"
    )
    return f"{text}: {place}."


def _missing_in_words(change, drivers, named):
    def one(row, _):
        x, y = (row[f"missing_{side}"] for side in ("reference", "target"))
        what = row["feature"] if named else "a feature of the network"
        return f"{what} in {_percent(y)} of the targets, {_percent(x)} of the reference"

    return f"Missing: {_listed(change, drivers, one)}."


_WORDS = {
    "mean": _mean_in_words,
    "scatter": _scatter_in_words,
    "outliers": _outliers_in_words,
    "clump": _clump_in_words,
    "missing": _missing_in_words,
}


def _listed(change, drivers, in_words):
    rows = {row["feature"]: row for row in drivers}
    pairs = list(zip(change.features, change.sizes, strict=True))
    text = ", ".join(in_words(rows[name], size) for name, size in pairs[:_NAMED])
    more = len(pairs) - _NAMED
    return text if more < 1 else f"{text} and {more} more"


def _moved(row):
    """Describe the change of the median of a feature, flux or error."""
    name, x, y = (row[k] for k in ("feature", "median_reference", "median_target"))
    of_flux, of_mag = name.startswith("flux_"), _FIRST_MAG.match(name) is not None
    band = _FIRST_MAG.sub("", name)
    if band.startswith("err_") and of_mag and x > 0 and y > 0:
        size = y / x
        more = "larger" if size > 1 else "smaller"
        return f"errors of {band.removeprefix('err_')} {more}, {size:.2g} times"
    if of_flux and x > 0 and y > 0:
        fainter = 2.5 * np.log10(x / y)
        return f"{band} {_fainter(fainter)}"
    if of_mag and not of_flux:
        return f"{band} {_fainter(y - x)}"
    return f"{name} {'higher' if y > x else 'lower'}, {y:.4g} for {x:.4g}"


def _fainter(magnitudes):
    word = "fainter" if magnitudes > 0 else "brighter"
    return f"{word} by {abs(magnitudes):.2f} mag"


def _percent(share):
    return f"{100 * share:.2g} %"


def _most_different_inputs(inputs):
    rows = [
        row
        for row in inputs
        if abs(row["shift"]) >= _APART or row["share_outside"] >= _OUT_TWICE
    ]
    if not rows:
        return (
            "No band's magnitudes, errors or colours are far from what was learnt; "
            "the largest difference of a median is "
            f"{_input_in_words(inputs[0])}."
        )
    named = [_input_in_words(row) for row in rows[:_NAMED]]
    return f"Most different from what was learnt: {', '.join(named)}."


def _input_in_words(row):
    band, value, learnt = row["band"], row["median"], row["learnt_median"]
    change = value - learnt
    what = {
        "magnitude": f"{band} {_fainter(change)}, {value:.1f} for {learnt:.1f}",
        "depth": f"errors of {band} {'smaller' if change > 0 else 'larger'}, "
        f"{10 ** (-0.4 * change):.2g} times",
        "colour": f"colour of {band} {change:+.1f} mag",
    }[row["quantity"]]
    return f"{what} ({_percent(row['share_outside'])} outside)"


# ---- what to do


def _is_tighter(report):
    """Whether the targets scatter less than the reference, and within it."""
    scatters = [c for c in report.changes if c.kind == "scatter"]
    others = [c for c in report.changes if c.kind != "scatter"]
    return (
        len(scatters) > 0
        and all(max(change.sizes) < 1 for change in scatters)
        and all(c.kind == "mean" and max(map(abs, c.sizes)) < _SMALL for c in others)
        and report.share_ood <= _OUT_TWICE
    )


def _is_covered(report):
    share = report.effective_sample_size / report.n_reference
    return report.share_ood <= _OUT_TWICE and (share >= _ENOUGH or _is_tighter(report))


def _what_to_do(report):
    share = report.effective_sample_size / report.n_reference
    parts = [change for change in report.changes if change.kind in _PARTS]
    only_parts = len(parts) == len(report.changes) > 0
    if only_parts and all(change.kind != "missing" for change in parts):
        n = round(sum(change.share for change in parts) * report.n_target)
        return (
            f"The rest looks like the reference: inspect or leave out these (about "
            f"{n} of {report.n_target}; ood_score and report.weigh find most), and "
            "expect the accuracy measured on the reference for the others."
        )
    if _is_covered(report) and not parts:
        text = (
            "The reference has enough objects like the targets: expect the accuracy "
            "that it has there, measured with report.weights as sample_weight "
            "(covariate shift)"
        )
        error = _expected_errors(report)
        return f"{text}{error}."
    if only_parts:
        return (
            "Expect the accuracy measured on the reference only where targets have "
            "what it has; for the others measure it on objects of the reference from "
            "which the same values were taken."
        )
    if report.severity == "slight":
        return (
            "It is small: expect the accuracy measured on the reference to hold "
            "roughly, and check it on any spectra that you have."
        )
    text = (
        "Do not expect the accuracy measured on the reference: distrust targets with "
        "ood_score above 1, and refit or recalibrate with labelled objects of your own"
    )
    text += f"{_expected_errors(report)}."
    if share < 0.1:
        return (
            f"{text} Weights cannot repair it: the reference weighted to look like the "
            f"targets is worth {report.effective_sample_size:.0f} objects of "
            f"{report.n_reference}."
        )
    return (
        f"{text} Weighted to look like the targets, the reference is worth "
        f"{report.effective_sample_size:.0f} objects of {report.n_reference}."
    )


def _expected_errors(report):
    """Errors to expect of redshifts read off the neighbours, if these are known."""
    if report.expected_error is None:
        return ""
    own, theirs = report.expected_error
    return (
        "; an error |delta z| / (1 + z) read off neighbours is expected to be "
        f"{theirs:.2g} for the targets, {own:.2g} for the reference"
    )
