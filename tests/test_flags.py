import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from mantis_astro.flags import (
    FLAG_TABLE,
    Flag,
    decode_flags,
    describe_flags,
    flag_counts,
    flag_names,
    has_data,
    missing_flag,
)

# Bits as first released. They are written into people's tables: never renumber them.
RELEASED = [
    "NO_DATA",
    "MISSING_GALEX",
    "MISSING_PS1",
    "MISSING_UNWISE",
    "BAD_PIXELS",
    "PARTIAL_COVERAGE",
    "OUT_OF_FOOTPRINT",
    "OFF_CENTRE",
    "HIGH_EBV",
    "EBV_ASSUMED",
    "OOD_FEATURE",
    "OOD_DOMAIN",
    "MULTIMODAL",
    "BROAD",
    "EDGE_PDF",
    "BLEND",
    "FETCH_FAILED",
    "BAD_COORDINATES",
    "BAD_WCS",
    "SATURATED",
    "NON_DETECTION",
    "PLACEHOLDER_MODEL",
    "MISSING_OTHER",
]


def test_released_bits_are_never_renumbered():
    assert [flag.name for flag in FLAG_TABLE][: len(RELEASED)] == RELEASED
    assert [flag.bit for flag in FLAG_TABLE] == list(range(len(FLAG_TABLE)))


def test_all_flags_fit_a_32_bit_column():
    assert sum(Flag) < 2**31


@pytest.mark.parametrize("flag", FLAG_TABLE, ids=lambda flag: flag.name)
def test_every_flag_is_one_sentence_with_its_threshold_filled_in(flag):
    assert flag.description.endswith(".")
    assert "{" not in flag.description
    assert ("{threshold" in flag.sentence) == (flag.threshold is not None)


def test_a_flag_knows_its_threshold():
    assert Flag.OFF_CENTRE.threshold == 1.5
    assert Flag.NO_DATA.threshold is None


def test_decoding_lists_the_bits_that_are_set_and_no_others():
    for flag in Flag:
        assert decode_flags(flag) == [flag.name]
    assert decode_flags(0) == []
    assert decode_flags(sum(Flag)) == [flag.name for flag in FLAG_TABLE]


def test_decoding_an_array_keeps_its_nesting():
    flags = np.array([[1, 0], [2, 3]], dtype=np.int32)
    names = ["NO_DATA", "MISSING_GALEX"]
    assert decode_flags(flags) == [[names[:1], []], [names[1:], names]]


def test_the_described_table_is_the_table():
    table = describe_flags()
    assert list(table["name"]) == [flag.name for flag in FLAG_TABLE]
    assert list(table["value"]) == [1 << flag.bit for flag in FLAG_TABLE]


@pytest.mark.parametrize("flags", [-1, [1, -1]])
def test_a_negative_value_is_no_set_of_flags(flags):
    with pytest.raises(ValueError, match="'flags' must not be negative, got -1"):
        decode_flags(flags)


@pytest.mark.parametrize(
    ("survey", "flag"),
    [("galex", "MISSING_GALEX"), ("unwise", "MISSING_UNWISE")]
    + [(name, "MISSING_OTHER") for name in ("legacysurvey", "allwise", "of a user")],
)
def test_a_missing_band_sets_the_bit_of_its_survey(survey, flag):
    assert missing_flag(survey) == Flag[flag]


def test_names_of_flags_are_a_column_that_says_what_the_numbers_say():
    flags = np.array([[0, 8193], [8192, 0]], dtype=np.int32)
    names = flag_names(flags)
    assert names.tolist() == [["none", "NO_DATA, BROAD"], ["BROAD", "none"]]
    assert flag_names([0, 1], nothing="ok").tolist() == ["ok", "NO_DATA"]
    assert flag_names([]).shape == (0,)
    assert flag_names(2) == "MISSING_GALEX"


def test_counts_of_flags_are_those_of_a_loop():
    flags = np.random.default_rng(1).choice([0, 1, 3, 8192, 2**22], 50)
    table = flag_counts(flags)
    counts = dict(zip(table["name"], table["n"], strict=True))
    assert counts.pop("(none)") == (flags == 0).sum()
    assert counts == {
        flag.name: n for flag in Flag if (n := sum(bool(f & flag) for f in flags))
    }
    assert table["share"].tolist() == [n / 50 for n in table["n"]]


def test_flags_of_a_table_are_counted_whatever_their_prefix():
    flags = MaskedColumn([1, 8192, 0], mask=[False, True, False])
    table = flag_counts(Table({"a_flags": flags}), prefix="a_")
    assert table["name"].tolist() == ["(none)", "NO_DATA"]
    assert table["n"].tolist() == [1, 2]
    with pytest.raises(KeyError, match="no column 'flags'; there are x"):
        flag_counts(Table({"x": [1]}))
    assert flag_counts([])["share"].tolist() == [0]


def test_flags_of_a_row_that_never_ran_are_those_of_no_data():
    flags = MaskedColumn([0, 8192], mask=[True, False])
    assert decode_flags(flags) == [["NO_DATA"], ["BROAD"]]
    assert decode_flags(flags[0]) == ["NO_DATA"]
    assert flag_names(flags).tolist() == ["NO_DATA", "BROAD"]
    assert has_data(flags).tolist() == [False, True]
    assert flag_counts(flags)["n"].tolist() == [0, 1, 1]


def test_flags_that_are_words_are_refused():
    with pytest.raises(ValueError, match="'flags' must be integers"):
        decode_flags("NO_DATA")
