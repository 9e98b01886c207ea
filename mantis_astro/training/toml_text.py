"""TOML in and out of plain values; the standard library does not write it."""

import json
import re
import tomllib

from mantis_astro.exceptions import InputSpecError

__all__ = ["from_toml", "to_toml"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def from_toml(text, name):
    """
    Read TOML.

    Parameters
    ----------
    text : str
        The text.
    name : str or path-like
        What to call it in a message.

    Returns
    -------
    dict
        What it holds.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"{name} is no TOML: {error}"
        raise InputSpecError(msg) from error


def to_toml(plain):
    """
    Write a dictionary as TOML.

    Parameters
    ----------
    plain : dict
        Of strings, numbers, booleans, and lists and dictionaries of those. None is
        left out, as TOML has no word for it.

    Returns
    -------
    str
        What `tomllib.loads` turns into the same dictionary.

    Examples
    --------
    >>> from mantis_astro.training.toml_text import to_toml
    >>> print(to_toml({"steps": 10, "loss": {"crps": 0.5}}))
    steps = 10
    <BLANKLINE>
    [loss]
    crps = 0.5
    <BLANKLINE>
    """
    return "\n".join(_lines(plain, ())) + "\n"


def _lines(table, path):
    sections = {key: v for key, v in table.items() if isinstance(v, dict)}
    values = {
        key: v for key, v in table.items() if v is not None and key not in sections
    }
    lines = [f"[{'.'.join(map(_key, path))}]"] if path and (values or not table) else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in values.items()]
    for key, section in sections.items():
        inner = _lines(section, (*path, key))
        lines += ["", *inner] if lines and inner[:1] != [""] else inner
    return lines


def _key(key):
    return key if _BARE.fullmatch(key) else json.dumps(key)


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        items = (f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return "{ " + ", ".join(items) + " }"
    if isinstance(value, list | tuple):
        return _array([_value(item) for item in value])
    return repr(value)


def _array(items):
    one_line = f"[{', '.join(items)}]"
    if len(one_line) <= 80 or not items:
        return one_line
    return "[\n" + "".join(f"    {item},\n" for item in items) + "]"
