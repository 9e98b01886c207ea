"""Completion scripts: bash runs its own; all know every command and option."""

import subprocess

import pytest

from mantis_astro.cli import main, make_parser
from mantis_astro.cli.options import model_names
from mantis_astro.flags import Flag


@pytest.fixture(scope="module")
def scripts():
    from mantis_astro.cli.completion import _WRITERS, _commands

    commands = _commands(make_parser())
    return {shell: "\n".join(write(commands)) for shell, write in _WRITERS.items()}


@pytest.fixture(scope="module")
def complete(scripts, tmp_path_factory):
    """What bash offers for the last of some words, in a folder with two files."""
    folder = tmp_path_factory.mktemp("here")
    for name in ("galaxies.ecsv", "p table.fits"):
        (folder / name).touch()

    def complete(*words):
        script = (
            f'{scripts["bash"]}\nCOMP_WORDS=(mantis-astro "$@")\nCOMP_CWORD=$#\n'
            '_mantis_astro\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        run = ["bash", "--norc", "-c", script, "bash", *words]
        done = subprocess.run(
            run, cwd=folder, capture_output=True, text=True, check=True
        )
        assert not done.stderr
        return set(done.stdout.splitlines()) - {""}

    return complete


def test_bash_completes_commands(complete):
    assert complete("pr") == {"predict"}
    assert complete("re") == {"refit", "recalibrate"}
    assert {"predict", "at", "doctor", "completion"} <= complete("")


def test_bash_completes_options_of_the_command(complete):
    assert complete("predict", "--over") == {"--overwrite"}
    assert complete("flags", "--over") == set()
    assert complete("predict", "table", "--c") == {"--cutouts", "--columns", "--chunk"}


def test_bash_completes_values(complete):
    assert complete("predict", "--model", "simulated-e") == {"simulated-early"}
    assert set(model_names()) <= complete("models", "")
    assert complete("refit", "--method", "") == {"logistic", "ridge"}
    assert complete("flags", "MISSING_P") == {Flag.MISSING_PS1.name}
    assert complete("files", "f") == {"fetch"}
    assert complete("completion", "") == {"bash", "zsh", "fish"}


def test_bash_completes_files(complete):
    assert complete("predict", "gal") == {"galaxies.ecsv"}
    assert complete("predict", "--store", "gal") == {"galaxies.ecsv"}
    assert complete("predict", "p") == {"p table.fits"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_option_of_every_command_is_known(scripts, shell):
    from mantis_astro.cli.completion import _commands

    for command, (_, arguments) in _commands(make_parser()).items():
        assert command in scripts[shell]
        for name in (name for a in arguments for name in a.names):
            assert (name if shell != "fish" else name.lstrip("-")) in scripts[shell]


def test_the_command_prints_the_script(scripts, capsys):
    assert main(["completion", "fish"]) == 0
    assert capsys.readouterr().out.strip() == scripts["fish"]
