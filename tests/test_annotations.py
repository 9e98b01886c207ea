"""What users import is annotated: editors complete it, and checkers read it."""

import ast
import inspect
from importlib.resources import files
from pathlib import Path

import pytest

import mantis_astro
from mantis_astro import (
    atomic,
    bands,
    cutouts,
    progress,
    records,
)

MORE = {
    "atomic": [getattr(atomic, name) for name in atomic.__all__],
    "bands": [getattr(bands, name) for name in bands.__all__ if name.islower()],
    "cutouts": [cutouts.CutoutStatus, cutouts.CutoutSource, cutouts.failed],
    "progress": [progress.progress_bar],
    "records": [getattr(records, name) for name in records.__all__],
}


def function_of(attribute):
    if isinstance(attribute, property):
        return attribute.fget
    attribute = getattr(attribute, "__func__", attribute)  # class and static methods
    return getattr(attribute, "func", attribute)  # cached properties


def public_functions(value):
    """The function, or public methods of the class, that this package defines."""
    if inspect.isfunction(value):
        yield value
        return
    for base in value.__mro__:
        if base.__module__.startswith("mantis_astro"):
            for name, attribute in vars(base).items():
                function = function_of(attribute)
                # not those that dataclasses and protocols bring
                is_own = (
                    inspect.isfunction(function)
                    and function.__module__.startswith("mantis_astro")
                    and function.__code__.co_filename != "<string>"
                )
                if is_own and (not name.startswith("_") or name == "__init__"):
                    yield function


def values():
    for name in mantis_astro.__all__:
        if name != "__version__":
            yield pytest.param(getattr(mantis_astro, name), id=name)
    for topic, found in MORE.items():
        for value in found:
            yield pytest.param(value, id=f"{topic}.{value.__name__}")


@pytest.mark.parametrize("value", list(values()))
def test_public_names_are_annotated(value):
    lacking = []
    for function in public_functions(value):
        parameters = inspect.signature(function).parameters.values()
        named = [p for p in parameters if p.name not in {"self", "cls"}]
        complete = all(p.annotation is not p.empty for p in named)
        if not complete or "return" not in function.__annotations__:
            lacking.append(function.__qualname__)
    assert lacking == []


def test_checkers_see_the_names_that_are_imported_late():
    tree = ast.parse(Path(mantis_astro.__file__).read_text())
    block = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen = {
        alias.asname: node.module.split(".")[1]
        for node in block.body
        for alias in node.names
        if alias.asname == alias.name
    }
    assert seen == mantis_astro._PUBLIC


def test_the_package_says_that_it_is_typed():
    assert files("mantis_astro").joinpath("py.typed").is_file()
