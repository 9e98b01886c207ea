"""Prediction of the magnitude in each band from the other bands of a galaxy."""

import torch
from torch import nn
from torch.nn import functional

from mantis_astro.fluxes import AB_ZERO_POINT_NJY, POGSON

__all__ = ["ExpectedBands", "asinh_magnitudes"]

_WIDTH = 128
_BATCH = 512
_EPOCHS = 60
_LEARNING_RATE = 3e-3
_HIDDEN = 0.2  # share of measurements that are hidden while it learns


def asinh_magnitudes(flux, error):
    """
    Convert fluxes to asinh magnitudes, which every measurement has.

    Softened by their own errors they move by as much as a zero point does, whatever
    the signal to noise.

    Parameters
    ----------
    flux, error : `torch.Tensor`
        In nJy, NaN where not observed.

    Returns
    -------
    magnitude, magnitude_err : `torch.Tensor`
        Of the same shape.
    """
    snr = flux / error
    depth = -POGSON * torch.log(error / AB_ZERO_POINT_NJY)
    magnitude = depth - POGSON * torch.asinh(snr / 2)
    return magnitude, POGSON / torch.hypot(snr, torch.full_like(snr, 2.0))


class ExpectedBands(nn.Module):
    """
    A small network that predicts each magnitude from those in other bands.

    Parameters
    ----------
    n_band : int
        Number of bands.
    """

    def __init__(self, n_band):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * n_band + 1, _WIDTH),
            nn.GELU(),
            nn.Linear(_WIDTH, _WIDTH),
            nn.GELU(),
            nn.Linear(_WIDTH, n_band),
        )

    def forward(self, magnitude, magnitude_err, shown):
        """
        Predict magnitudes.

        Parameters
        ----------
        magnitude, magnitude_err : `torch.Tensor`
            Shape (n, n_band).
        shown : `torch.Tensor`
            Which of them are read, shape (n, n_band), bool.

        Returns
        -------
        `torch.Tensor`
            Shape (n, n_band), for all bands.
        """
        weight = shown / (0.2**2 + magnitude_err.nan_to_num(1.0) ** 2)
        magnitude = torch.where(shown, magnitude, 0.0)
        total = weight.sum(1, keepdim=True).clamp(min=1e-9)
        mean = (weight * magnitude).sum(1, keepdim=True) / total
        relative = torch.where(shown, magnitude - mean, 0.0)
        error = torch.where(shown, 2 * magnitude_err, 0.0)
        inputs = [relative, error, shown.float(), (mean - 20) / 3]
        return mean + self.layers(torch.cat(inputs, 1))

    def learn(self, magnitude, magnitude_err, shown, *, generator):
        """
        Learn from simulated galaxies with some of their bands hidden.

        Parameters
        ----------
        magnitude, magnitude_err, shown : `torch.Tensor`
            As for `forward`.
        generator : `torch.Generator`
            Source of randomness.
        """
        steps = -(-len(magnitude) // _BATCH) * _EPOCHS
        optimizer = torch.optim.AdamW(self.parameters(), _LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        target = torch.where(shown, magnitude, 0.0)
        for _ in range(_EPOCHS):
            order = torch.randperm(len(magnitude), generator=generator)
            for rows in order.split(_BATCH):
                there = shown[rows]
                hide = torch.rand(there.shape, generator=generator) < _HIDDEN
                # one at least
                one = torch.randint(there.shape[1], (len(rows), 1), generator=generator)
                hide = hide.scatter(1, one, value=True)
                found = self(magnitude[rows], magnitude_err[rows], there & ~hide)
                away = functional.smooth_l1_loss(
                    found, target[rows], beta=0.2, reduction="none"
                )
                wanted = there & hide
                optimizer.zero_grad(set_to_none=True)
                (away[wanted].sum() / wanted.sum().clamp(min=1)).backward()
                optimizer.step()
                schedule.step()

    @torch.no_grad()
    def residuals(self, magnitude, magnitude_err, shown):
        """
        Compare each band with its expectation from the others.

        Parameters
        ----------
        magnitude, magnitude_err, shown : `torch.Tensor`
            As for `forward`.

        Returns
        -------
        `torch.Tensor`
            Magnitude less the expected one, NaN where there is none, or no other band
            was observed, shape (n, n_band).
        """
        out = torch.full_like(magnitude, torch.nan)
        for band in range(magnitude.shape[1]):
            others = shown.clone()
            others[:, band] = False
            found = self(magnitude, magnitude_err, others)[:, band]
            usable = shown[:, band] & others.any(1)
            out[usable, band] = (magnitude[:, band] - found)[usable]
        return out
