"""Record of a running training: its history, and a line of progress."""

import csv
import sys
import time
from pathlib import Path

import numpy as np
import torch
from astropy.table import MaskedColumn, Table

from mantis_astro.training.validation import VALIDATION_COLUMNS

__all__ = ["COLUMNS", "History", "Meter", "progress_line"]

#: Columns of the history.
COLUMNS = (
    "step",
    "seconds",
    "loss",
    "learning_rate",
    "gradient_norm",
    "galaxies_per_second",
    *VALIDATION_COLUMNS,
)


class History:
    """
    Rows of numbers, kept in memory and in a CSV file.

    Parameters
    ----------
    path : `~pathlib.Path` or None
        The file, written anew with the rows so far; None to write nothing.
    rows : list of dict, optional
        Rows of a run that goes on.
    tensorboard : bool, optional
        Whether to write for TensorBoard too, beside the file.
    """

    def __init__(self, path, rows=(), *, tensorboard=False):
        self.rows = list(rows)
        self._path, self._board = path, None
        if path is None:
            return
        with Path(path).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(map(_as_text, self.rows))
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(Path(path).parent / "tensorboard")

    def add(self, row):
        """
        Add a row.

        Parameters
        ----------
        row : dict of str to float
            Values of some of `COLUMNS`, ``step`` among them.
        """
        self.rows.append(row)
        if self._path is not None:
            with Path(self._path).open("a", newline="") as stream:
                csv.DictWriter(stream, COLUMNS).writerow(_as_text(row))
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, int(row["step"]))

    def table(self):
        """
        Make the table of all rows.

        Returns
        -------
        `~astropy.table.Table`
            With `COLUMNS`; masked where a row has no such value.
        """
        table = Table()
        for name in COLUMNS:
            values = np.array([row.get(name, np.nan) for row in self.rows], float)
            absent = [name not in row for row in self.rows]
            if name == "step":
                table[name] = values.astype(int)
            else:
                table[name] = MaskedColumn(values, mask=absent, format=".4g")
        return table

    def close(self):
        """Close the TensorBoard log."""
        if self._board is not None:
            self._board.close()


class Meter:
    """
    Loss, norm of the gradients and speed, over the steps since the last row.

    Parameters
    ----------
    batch_size : int
        Galaxies in a step.
    """

    def __init__(self, batch_size):
        self.batch_size = batch_size
        self.restart()

    def restart(self):
        """Forget all steps."""
        self._loss, self._norm, self._n = 0.0, 0.0, 0
        self._start = time.monotonic()

    def add(self, loss, norm):
        """
        Add a step.

        Parameters
        ----------
        loss, norm : `torch.Tensor`
            Of the step; not waited for.
        """
        self._loss, self._norm = self._loss + loss, self._norm + norm
        self._n += 1

    def read(self, team):
        """
        Return the means.

        Parameters
        ----------
        team : Team
            The loss is averaged over its processes.

        Returns
        -------
        dict of str to float
            ``loss``, ``gradient_norm`` and ``galaxies_per_second``.
        """
        means = team.mean(torch.stack([self._loss, self._norm]) / self._n).tolist()
        seconds = time.monotonic() - self._start
        return {
            "loss": means[0],
            "gradient_norm": means[1],
            "galaxies_per_second": self._n * self.batch_size / seconds,
        }


def _as_text(row):
    return {name: f"{value:.7g}" for name, value in row.items()}


def progress_line(name, row, progress, seconds, stream=None):
    """
    Return one line on the progress of a training.

    Parameters
    ----------
    name : str
        Name of the model.
    row : dict of str to float
        The row of the history.
    progress : float
        From 0 to 1.
    seconds : float
        Time used.
    stream : file, optional
        Where to; by default standard error.
    """
    stream = stream or sys.stderr
    left = seconds * (1 - progress) / progress if progress > 0 else np.inf
    parts = [
        f"{name}: step {row['step']}",
        f"{min(progress, 1):.0%}",
        f"loss {row['loss']:.4f}",
        f"lr {row['learning_rate']:.2g}",
        f"{row['galaxies_per_second']:,.0f} galaxies/s",
        f"{_duration(left)} left",
    ]
    if "val_loss" in row:
        parts.append(f"validation {row['val_loss']:.4f}")
    if "sigma_nmad" in row:
        parts.append(f"sigma_nmad {row['sigma_nmad']:.4f}")
        parts.append(f">0.05 {row['outlier_fraction_005']:.1%}")
    stream.write(", ".join(parts) + "\n")
    stream.flush()


def _duration(seconds):
    if not np.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" if minutes >= 5 else f"{minutes}:{rest:02d}"
