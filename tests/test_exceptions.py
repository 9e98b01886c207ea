import pytest

from mantis_astro import exceptions


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        ("MissingBandError", KeyError),
        ("InputSpecError", ValueError),
        ("FetchError", OSError),
    ],
)
def test_our_errors_are_also_python_s_own(error, builtin):
    error = getattr(exceptions, error)
    assert issubclass(error, builtin)
    assert issubclass(error, exceptions.MantisError)


def test_a_missing_band_prints_its_sentence_without_quotes():
    assert str(exceptions.MissingBandError("no band 'u'")) == "no band 'u'"
