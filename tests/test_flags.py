import numpy as np
import pytest

from mantis_astro.flags import (
    FLAG_TABLE,
    Flag,
    decode_flags,
    describe_flags,
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
