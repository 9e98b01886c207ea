import subprocess
import sys

import pytest
from astropy.config import generate_config, reload_config, set_temp_config

from mantis_astro import files, services

SECTIONS = {"files": files.conf, "services": services.conf}
NUMBER = {"files": "read_timeout", "services": "timeout"}


@pytest.fixture(params=SECTIONS)
def section(request):
    return request.param


def test_every_item_has_a_description(section):
    assert all(item.description for _, item in SECTIONS[section].items())


def test_the_file_of_settings_has_a_section_for_each(tmp_path):
    generate_config("mantis_astro", tmp_path / "mantis_astro.cfg")
    lines = (tmp_path / "mantis_astro.cfg").read_text().splitlines()
    assert {line for line in lines if line.startswith("[")} == {"[files]", "[services]"}


def test_settings_are_read_from_their_section_of_the_file(section, tmp_path):
    conf, name = SECTIONS[section], NUMBER[section]
    text = f"[{section}]\n{name} = 7.5\n"
    (tmp_path / "astropy").mkdir()
    (tmp_path / "astropy" / "mantis_astro.cfg").write_text(text)
    with set_temp_config(tmp_path):
        reload_config("mantis_astro")
        assert getattr(conf, name) == 7.5
    reload_config("mantis_astro")
    assert getattr(conf, name) != 7.5


def test_wrong_types_are_refused(section):
    conf, name = SECTIONS[section], NUMBER[section]
    with pytest.raises(TypeError, match=name), conf.set_temp(name, "soon"):
        pass


def test_the_package_is_imported_without_astroquery():
    code = "import sys, mantis_astro; assert 'astroquery' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
