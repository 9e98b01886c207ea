"""Frozen records that JSON stores and restores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, TypeVar, dataclass_transform

from mantis_astro.exceptions import InputSpecError

__all__ = ["check_keys", "from_plain", "printable", "record", "to_plain"]

_KINDS: dict[str, Any] = {}
_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(
    kind: str, *, renamed: dict[str, str] | None = None
) -> Callable[[type[_T]], type[_T]]:
    """
    Create a frozen dataclass that `to_plain` and `from_plain` identify by a name.

    Parameters
    ----------
    kind : str
        The name, as it stands in files; never reused for something else.
    renamed : dict of str to str, optional
        Former names of fields, which older files and programs use, and their names.

    Returns
    -------
    callable
        A class decorator.

    Raises
    ------
    ValueError
        If the name is taken.

    Examples
    --------
    >>> from mantis_astro.records import from_plain, record, to_plain
    >>> @record("example-disc")
    ... class Disc:
    ...     radius: float
    ...     centre: tuple = (0, 0)
    >>> to_plain(Disc(2.0))
    {'kind': 'example-disc', 'radius': 2.0, 'centre': [0, 0]}
    >>> from_plain(to_plain(Disc(2.0)))
    Disc(radius=2.0, centre=(0, 0))
    """

    def decorate(cls):
        taken = _KINDS.get(kind)
        if taken is not None and taken.__qualname__ != cls.__qualname__:
            msg = f"'kind' {kind!r} is already taken by {taken.__qualname__}"
            raise ValueError(msg)
        cls = dataclass(frozen=True)(cls)
        cls.kind, cls.renamed = kind, renamed or {}
        if renamed:
            cls.__init__ = _with_former_names(cls.__init__, renamed)
        _KINDS[kind] = cls
        return cls

    return decorate


def _with_former_names(init, renamed):
    @wraps(init)
    def _init(self, *args, **values):
        init(self, *args, **{renamed.get(k, k): value for k, value in values.items()})

    return _init


def check_keys(cls: type, plain: Any, where: str) -> None:
    """
    Raise if a dictionary has keys that are no fields of a dataclass.

    Parameters
    ----------
    cls : type
        The dataclass.
    plain : dict
        The dictionary.
    where : str
        What to call it in a message.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` naming the fields that there are, or
        if it is no dictionary.
    """
    if not isinstance(plain, dict):
        msg = f"{where} must be a table, got {plain!r}"
        raise InputSpecError(msg)
    known = [f.name for f in fields(cls)]
    unknown = [key for key in plain if key not in known]
    if unknown:
        msg = f"{where} has no {', '.join(unknown)}; there are {', '.join(known)}"
        raise InputSpecError(msg)


def printable(text: str) -> str:
    r"""
    Escape control characters in a text of a file, which a terminal would obey.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
        On one line; control characters, invisible ones too, as escapes.

    Examples
    --------
    >>> from mantis_astro.records import printable
    >>> printable("two\nlines \x1b[31mred")
    'two lines \\x1b[31mred'
    """
    if text.isprintable():
        return text
    one_line = (" " if c.isspace() else c for c in text)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in one_line)


def to_plain(value: Any) -> Any:
    """
    Convert nested records to values that JSON can store.

    Parameters
    ----------
    value : record, dict, tuple, list, str, number, bool or None
        The value.

    Returns
    -------
    dict, list, str, number, bool or None
        Records become dictionaries with their ``kind``, tuples become lists.
    """
    if getattr(type(value), "kind", None) in _KINDS:
        items = {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
        return {"kind": value.kind, **items}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(value: Any) -> Any:
    """
    Restore records from the output of `to_plain`.

    Parameters
    ----------
    value : dict, list, str, number, bool or None
        What JSON held.

    Returns
    -------
    record, dict, tuple, str, number, bool or None
        Lists become tuples.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if a kind is not known, or the
        fields are not that kind's.
    """
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    items = {key: from_plain(item) for key, item in value.items()}
    if "kind" not in items:
        return items
    kind = items.pop("kind")
    try:
        cls = _KINDS[kind]
    except KeyError:
        msg = f"no record of kind {kind!r}; there are {', '.join(sorted(_KINDS))}"
        raise InputSpecError(msg) from None
    names = [field.name for field in fields(cls) if field.init]
    if strangers := sorted(items.keys() - set(names) - set(cls.renamed)):
        msg = (
            f"a record of kind {kind!r} has no {', '.join(strangers)}; "
            f"there are {', '.join(names)}"
        )
        raise InputSpecError(msg)
    try:
        return cls(**items)
    except TypeError as error:
        msg = f"a record of kind {kind!r} cannot be made from {sorted(items)}: {error}"
        raise InputSpecError(msg) from error
