import contextlib
import io
import sys
import threading
import types
from pathlib import Path

import pytest

import mantis_astro
from mantis_astro import progress
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


def test_a_bar_without_a_title_waits_for_work_that_takes_long(terminal, monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 1e6)
    work(terminal, title=None)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "_DELAY", 0)
    work(terminal, title=None)
    assert "100.00%" in terminal.getvalue()


def test_a_bar_within_a_bar_is_not_drawn(terminal):
    with (
        contextlib.redirect_stderr(terminal),
        progress_bar(2, wanted=True, title="rows") as outer,
    ):
        work(terminal, [1, 2, 3], title="images")
        assert terminal.getvalue().count("images") == 1
        assert "100.00%" not in terminal.getvalue()
        outer(2)
    assert "100.00%" in terminal.getvalue()
    other = Terminal()
    work(other)
    assert "100.00%" in other.getvalue()


@pytest.fixture
def notebook(monkeypatch):
    """What stands in for a notebook: displays, by their number, as last updated."""
    shown = []

    def display(html, *, display_id):
        shown.append(html)
        number = len(shown) - 1
        return types.SimpleNamespace(update=lambda new: shown.__setitem__(number, new))

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel="a kernel")
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.HTML, ipython.display.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def test_a_notebook_gets_a_bar_that_needs_no_terminal(notebook):
    file = io.StringIO()
    work(file, title="<plan>")
    assert file.getvalue() == ""
    title, bar = notebook
    assert title == "<pre>&lt;plan&gt;</pre>"
    assert bar.startswith('<progress value="3" max="3"></progress> 3 of 3 took')


def test_a_shell_without_a_kernel_is_a_terminal(notebook, terminal, monkeypatch):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    work(terminal)
    assert notebook == []
    assert "100.00%" in terminal.getvalue()


def test_there_is_one_bar_in_the_package():
    root = Path(mantis_astro.__file__).parent
    users = [p.name for p in root.rglob("*.py") if "ProgressBar" in p.read_text()]
    assert users == ["progress.py"]
