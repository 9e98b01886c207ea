"""What all benchmarks share: interleaved timing, and one way to print and save."""

import argparse
import time
from pathlib import Path
from statistics import median

from astropy.table import Table


def interleaved(functions, *, repeats=5, warmup=1, clock=time.perf_counter):
    """
    Time functions in turn (A B A B ...), so that a noisy machine is fair to all.

    Parameters
    ----------
    functions : dict of str to callable
        Each called without arguments.
    repeats, warmup : int
        Counted and uncounted rounds.
    clock : callable, optional
        ``time.process_time`` counts seconds of the processor, which others on the
        machine disturb less; right where one thread does all.

    Returns
    -------
    dict of str to float
        Median seconds of each.
    """
    seconds = {name: [] for name in functions}
    for i in range(warmup + repeats):
        for name, function in functions.items():
            start = clock()
            function()
            if i >= warmup:
                seconds[name].append(clock() - start)
    return {name: median(values) for name, values in seconds.items()}


def peak_memory():
    """
    Return the largest memory that this process has had (Linux only).

    Not by `resource.getrusage`: a process that another starts inherits its peak there.

    Returns
    -------
    float
        MB.
    """
    with Path("/proc/self/status").open() as status:
        return next(int(s.split()[1]) for s in status if s.startswith("VmHWM")) / 1024


def run(benchmark, name):
    """
    Command line of a benchmark: ``python benchmarks/NAME.py [--short] [--output DIR]``.

    Parameters
    ----------
    benchmark : callable
        Takes ``short`` (bool), returns a `~astropy.table.Table` of what was measured,
        whose ``meta["title"]`` says what it is.
    name : str
        Stem of the CSV file.

    Returns
    -------
    `~pathlib.Path` or None
        The folder given as ``--output``.
    """
    parser = argparse.ArgumentParser(description=benchmark.__doc__)
    parser.add_argument("--short", action="store_true", help="small sizes, few repeats")
    parser.add_argument("--output", type=Path, help="folder to write NAME.csv to")
    arguments = parser.parse_args()
    report(Table(benchmark(arguments.short)), name, arguments.output)
    return arguments.output


def report(table, name, folder=None):
    """
    Print what was measured, and keep it.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Its ``meta["title"]`` says what it is.
    name : str
        Stem of the CSV file.
    folder : `~pathlib.Path`, optional
        Where that goes; by default it is not written.
    """
    title = table.meta.get("title", name)
    print(title)
    table.pprint(max_lines=-1, max_width=-1)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        table.meta = {"comments": [f"{name}.py: {title}"]}  # the docs show it
        path = folder / f"{name}.csv"
        table.write(path, format="ascii.csv", comment="# ", overwrite=True)
