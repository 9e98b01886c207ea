"""What a shift report says in words, and the thresholds that it goes by."""

__all__ = ["CLEAR_AUC", "LEVEL", "STRONG_AUC", "severity", "write_verdict"]

#: False alarm rate of the verdict: a shift is found if the p-value of all tests
#: together is not above it.
LEVEL = 0.01

#: AUC of the domain classifier from which a shift that was found is called clear.
CLEAR_AUC = 0.6

#: AUC from which it is called strong.
STRONG_AUC = 0.8

_SHOWS_IN = {
    "single_feature": "the mean, the scatter or the missing values of one",
    "hotelling": "the means of several together",
    "covariance": "variances and correlations",
    "mahalanobis": "how far from the middle objects lie",
    "domain": "the classifier",
    "energy_distance": "the energy distance",
    "mmd": "the maximum mean discrepancy",
}  # of equal p-values the first is named

_FEW = 50  # objects with which only a large shift is seen


def severity(auc, p_value, *, level=LEVEL):
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

    Returns
    -------
    str
        ``"none"`` where nothing was found at that level, else ``"slight"`` (AUC below
        0.6), ``"clear"`` or ``"strong"`` (0.8 and above).

    Examples
    --------
    >>> from mantis_astro.shift import severity
    >>> severity(0.55, 0.3), severity(0.55, 0.001), severity(0.9, 0.001)
    ('none', 'slight', 'strong')
    """
    if p_value > level:
        return "none"
    if auc < CLEAR_AUC:
        return "slight"
    return "clear" if auc < STRONG_AUC else "strong"


def write_verdict(report):
    """
    Say in a few sentences what a report found and what to do.

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
        f"{report.p_value:.2g}, alarm at {report.level:g}"
    )
    first = (
        f"No shift found: no test can tell the {report.n_target} targets from the "
        f"reference ({tests})."
        if found == "none"
        else f"{found.capitalize()} shift: the {report.n_target} targets are not drawn "
        f"from the reference ({tests})."
    )
    sentences = [first]
    sentences.append(
        f"{100 * report.share_ood:.1f} % of them have an ood_score above 1, as 1 % of "
        "the reference do."
    )
    if found != "none":
        sentences += [_most_different(report), _what_to_do(report)]
    if min(report.n_reference, report.n_target) < _FEW:
        sentences.append("With so few objects only a large shift can be seen.")
    return " ".join(sentence for sentence in sentences if sentence)


def _most_different(report):
    if report.inputs is not None and len(report.inputs):
        return _most_different_inputs(report.inputs)
    rows = [row for row in report.drivers[:3] if row["p_value"] <= report.level]
    if not rows:
        name = min(_SHOWS_IN, key=lambda test: report.tests[test].p_value)
        return (
            "No single feature stands out; the shift shows in "
            f"{_SHOWS_IN[name]} (p = {report.tests[name].p_value:.2g})."
        )
    named = [f"{row['feature']} ({row['cohen_d']:+.2f} sigma)" for row in rows]
    return f"Most different: {', '.join(named)}."


def _most_different_inputs(inputs):
    named = [
        f"{row['quantity']} of {row['band']} ({row['median']:.1f}, learnt "
        f"{row['learnt_median']:.1f}; {100 * row['share_outside']:.0f} % outside)"
        for row in inputs[:3]
    ]
    return f"Most different in the median: {', '.join(named)}."


def _what_to_do(report):
    share = report.effective_sample_size / report.n_reference
    if report.severity == "slight":
        return (
            "It is small: expect the accuracy measured on the reference to hold "
            "roughly, and check it on any spectra that you have."
        )
    text = (
        "Do not expect the accuracy measured on the reference: distrust targets with "
        "ood_score above 1, and refit or recalibrate with labelled objects of your own."
    )
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
