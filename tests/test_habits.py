"""The suite's own rules."""

from pathlib import Path

from hypothesis import settings


def test_properties_have_no_time_limit_of_their_own():
    assert settings().deadline is None
    root = Path(__file__).parent
    own = [p for p in root.rglob("*.py") if "deadline=None" in p.read_text()]
    assert {p.relative_to(root).as_posix() for p in own} == {
        "conftest.py",
        "test_habits.py",
    }
