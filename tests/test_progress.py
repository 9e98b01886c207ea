import contextlib
import io
import threading
from pathlib import Path

import pytest

import mantis_astro
from mantis_astro.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal():
    return Terminal()


def work(terminal, steps=(1, 2, 3), **options):
    options = {"wanted": True, "title": "the plan"} | options
    with (
        contextlib.redirect_stderr(terminal),
        progress_bar(len(steps), **options) as bar,
    ):
        for done in steps:
            bar(done)


def test_a_terminal_gets_the_title_and_a_bar(terminal):
    work(terminal)
    assert terminal.getvalue().startswith("the plan\n")
    assert "100.00%" in terminal.getvalue()


@pytest.mark.parametrize("options", [{"wanted": False}, {"steps": ()}])
def test_nothing_is_shown_if_not_wanted_or_nothing_to_do(options, terminal):
    work(terminal, **options)
    assert terminal.getvalue() == ""


def test_a_file_or_pipe_gets_nothing():
    file = io.StringIO()
    work(file)
    assert file.getvalue() == ""


def test_another_thread_shows_nothing(terminal):
    thread = threading.Thread(target=work, args=[terminal])
    thread.start()
    thread.join()
    assert terminal.getvalue() == ""


def test_many_small_steps_redraw_seldom(terminal):
    work(terminal, range(1, 10_001))
    assert 100 < terminal.getvalue().count("\r") < 1000


def test_an_error_ends_the_line(terminal):
    with pytest.raises(TypeError):
        work(terminal, [1, "two", 3])
    assert terminal.getvalue().endswith("\n")
    assert "100.00%" not in terminal.getvalue()


def test_there_is_one_bar_in_the_package():
    root = Path(mantis_astro.__file__).parent
    users = [p.name for p in root.rglob("*.py") if "ProgressBar" in p.read_text()]
    assert users == ["progress.py"]
