"""`FinetuningReport`: effect of fine-tuning on galaxies held out."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["FinetuningReport"]

_SHOWN = (
    "val_loss",
    "sigma_nmad",
    "outlier_fraction_005",
    "outlier_fraction_015",
    "crps",
    "cde_loss",
    "log_score",
    "coverage_68",
    "pit_ks",
)


@dataclass(frozen=True)
class FinetuningReport:
    """
    Effect of fine-tuning on galaxies held out.

    Attributes
    ----------
    improved : bool
        Whether the loss went down; if not, the model is the one that was given.
    n_train, n_validation : int
        Galaxies learnt from, and held out; of an ensemble, by any of its networks.
    n_left_out : int
        Galaxies without redshift, below the bins, or of which nothing is usable.
    n_beyond : int
        Galaxies beyond the last redshift bin, which are learnt to be there.
    split : str
        How galaxies were held out.
    before, after : dict of str to float
        Loss of both networks, and metrics of both models' p(z), on those held out, each
        by networks that have not seen it; the recalibration of the new one is fitted
        to four fifths of them and judged by the last, in turn.
    n_steps : int
        Steps taken, by all networks together.
    smoothing : float
        Width of the new model's smoothing, in units of 1 + z.
    calibration : str
        How it is recalibrated, in words.
    z_last : float
        Upper end of the redshift bins.
    history : `~astropy.table.Table`
        The course of the first network.
    """

    improved: bool
    n_train: int
    n_validation: int
    n_left_out: int
    n_beyond: int
    split: str
    before: dict
    after: dict
    n_steps: int
    smoothing: float = 0.0
    calibration: str = ""
    z_last: float = np.inf
    history: object = field(repr=False, default=None)

    def __str__(self):
        held_out = f"{self.n_validation} held out ({self.split})"
        lines = [f"{self.n_train} galaxies learnt from, {held_out}"]
        if self.n_left_out:
            lines.append(f"  {self.n_left_out} left out: no redshift, or no data")
        if self.n_beyond:
            lines.append(
                f"  {self.n_beyond} beyond the model's last redshift bin, z = "
                f"{self.z_last:g}: learnt to be at that end, where p(z) get the flag "
                "EDGE_PDF; the model cannot give them a redshift"
            )
        lines += [
            f"  {name:22s} {self.before[name]:.4g} -> {self.after[name]:.4g}"
            for name in _SHOWN
        ]
        if self.improved:
            lines.append(
                f"  p(z) smoothed by {self.smoothing:g} (1 + z), {self.calibration}"
            )
        else:
            lines.append("  no better on those held out: the model is unchanged")
        return "\n".join(lines)
