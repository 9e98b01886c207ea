"""Parts that pictures share: axes, colours, and text outside of the data."""

from mantis_astro._optional import require

__all__ = ["distinct_colours", "name_lines", "new_axes", "write_above"]

_LETTER = 0.6  # width of a letter over its height
_HANDLE = 6  # letters that the line of an entry of a legend takes
_SHORTEST = 8  # letters of a name
_MOST_ROOM = 0.5  # of the axes, for a legend


def new_axes(figsize, **options):
    """
    Create axes on a figure that is not known to pyplot.

    Parameters
    ----------
    figsize : tuple of float
        Width and height in inches.
    **options
        For ``figure.subplots``, such as ``nrows``.

    Returns
    -------
    `~matplotlib.axes.Axes` or `~numpy.ndarray` of them
        The axes.
    """
    figure = require("matplotlib.figure", extra="plot").Figure(
        figsize=figsize, layout="constrained"
    )
    return figure.subplots(**options)


def distinct_colours(n):
    """
    Choose colours that differ in brightness, too, for prints without colour.

    Parameters
    ----------
    n : int
        How many.

    Returns
    -------
    list of tuple
        From dark to bright; of one, the usual blue.
    """
    if n == 1:
        return ["C0"]
    viridis = require("matplotlib", extra="plot").colormaps["viridis"]
    return [viridis(0.85 * i / (n - 1)) for i in range(n)]


def write_above(ax, text):
    """
    Write numbers above axes, where they hide nothing.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
        The axes.
    text : str
        One line or more.
    """
    ax.set_title(text, loc="left", fontsize="small")


def name_lines(ax, highest, lowest=0.0, *, from_top=False):
    """
    Write a legend above curves, in as many columns as fit; long names are shortened.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
        With curves, of which some have labels.
    highest, lowest : float
        The highest and the lowest value of the curves.
    from_top : bool, optional
        Whether the last one drawn comes first.
    """
    handles, names = ax.get_legend_handles_labels()
    if from_top:
        handles, names = handles[::-1], names[::-1]
    if not names:
        return
    size = 0.83 * ax.xaxis.label.get_fontsize()
    box = ax.get_position()
    width, height = 72 * ax.figure.get_size_inches() * (box.width, box.height)
    fit = int(width / (_LETTER * size))  # letters in a row
    columns = fit // (_HANDLE + 2 + max(map(len, names)))
    columns = min(max(columns, 1), len(names))
    while (
        _room(len(names), columns, size, height) > _MOST_ROOM
        and fit // (columns + 1) >= _HANDLE + 2 + _SHORTEST
    ):
        columns += 1  # of shortened names
    length = max(fit // columns - _HANDLE - 2, _SHORTEST)
    names = [_shortened(name, length) for name in names]
    room = min(_room(len(names), columns, size, height), 0.75)
    ax.set_ylim(lowest, lowest + max(1.15, 1 / (1 - room)) * (highest - lowest))
    ax.legend(
        handles,
        names,
        loc="upper right",
        ncols=columns,
        fontsize=size,
        handlelength=1.6,
        framealpha=1,
        edgecolor="none",
        borderaxespad=0.3,
    )


def _room(n, columns, size, height):
    """Part of the height of axes that a legend of n names takes."""
    return 1.6 * size * (-(-n // columns) + 0.5) / height


def _shortened(name, length):
    """Take letters out of the middle."""
    if len(name) <= length:
        return name
    half = (length - 1) // 2
    return f"{name[: length - 1 - half]}…{name[len(name) - half :]}"
