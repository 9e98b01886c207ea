import subprocess
import sys

import pytest

from mantis_astro.services import conf


def test_every_item_has_a_description():
    assert all(item.description for _, item in conf.items())


def test_items_live_in_the_package_s_own_section():
    assert {item.module for _, item in conf.items()} == {"mantis_astro.services"}


def test_wrong_types_are_refused():
    with pytest.raises(TypeError, match="timeout"), conf.set_temp("timeout", "soon"):
        pass


def test_the_package_is_imported_without_astroquery():
    code = "import sys, mantis_astro; assert 'astroquery' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
