import sys

import pytest

from mantis_astro._optional import require


def test_a_missing_package_names_the_extra_that_installs_it():
    with pytest.raises(
        ImportError, match=r"'nonesuch' is needed.*mantis-astro\[simulate\]"
    ):
        require("nonesuch.part", extra="simulate")


def test_an_installed_package_that_itself_breaks_is_not_blamed_on_the_extra(
    tmp_path, monkeypatch
):
    (tmp_path / "halfbroken.py").write_text("import nonesuch\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'nonesuch'"):
        require("halfbroken", extra="plot")
    assert "halfbroken" not in sys.modules
