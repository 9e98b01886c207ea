"""What stands behind the encoders: the classifier head, and aperture sums beside."""

import torch
from torch import nn

__all__ = ["ApertureSums", "Head"]


class Head(nn.Module):
    """
    Two linear layers to the logits of redshift bins; the base of all networks.

    Parameters
    ----------
    n_inputs : int
        Length of the vector that ``fc0`` reads.
    hidden : int
        Length of the features, which ``fc1`` reads.
    n_bins : int
        Number of redshift bins.

    Attributes
    ----------
    micro_batch : int
        Objects in one call when many are predicted. Always as many, so that answers do
        not depend on how many objects are predicted together.
    """

    micro_batch = 8

    def __init__(self, n_inputs, hidden, n_bins):
        super().__init__()
        self.fc0 = nn.Linear(n_inputs, hidden)
        self.fc1 = nn.Linear(hidden, n_bins)

    def forward(self, images, ebv):
        """
        Logits of the redshift bins.

        Parameters
        ----------
        images : `torch.Tensor` or tuple of `torch.Tensor`
            What the model's spec prepares; see ``features``.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_bins); their softmax is the probability in each bin.
        """
        return self.fc1(self.features(images, ebv))


class ApertureSums(nn.Module):
    """
    Fluxes in round apertures, computed beside the convolutions.

    A network that must learn to add up pixels learns slowly; given the sums it learns
    colours at once. Images are read as ``asinh(flux / softening)``; the sums go through
    the same function, after a learned scale and shift for each. A band whose pixels
    are all exactly zero was not observed; one more input for each band says so.

    Parameters
    ----------
    config : EarlyFusionConfig
        Its ``aperture_radii`` (pixels) and number of bands are used.
    """

    # Beyond it the hyperbolic sine of a float32 would overflow in a sum.
    LARGEST = 40.0

    def __init__(self, config):
        super().__init__()
        self.radii = tuple(config.aperture_radii)
        n_sums = config.encoder.in_channels * len(self.radii)
        self.scale = nn.Parameter(torch.ones(n_sums))
        self.shift = nn.Parameter(torch.zeros(n_sums))

    @staticmethod
    def count(config):
        """
        Count the outputs: each band's sums, and whether it is there.

        Parameters
        ----------
        config : EarlyFusionConfig
            Size of the network.

        Returns
        -------
        int
            Length of a row of the output.
        """
        return config.encoder.in_channels * (len(config.aperture_radii) + 1)

    def forward(self, images):
        """
        Sum each band in each aperture.

        Parameters
        ----------
        images : `torch.Tensor`
            Shape (n_object, n_band, ny, nx).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_band * (n_radius + 1)).
        """
        weights = self._weights(images)  # (n_radius, ny, nx)
        flux = torch.sinh(images.clamp(-self.LARGEST, self.LARGEST))
        sums = torch.einsum("nbyx,ryx->nbr", flux, weights)
        sums = torch.asinh(sums).flatten(1)  # (n_object, n_band * n_radius)
        present = (images != 0).flatten(2).any(2).to(images.dtype)
        return torch.cat([sums * self.scale + self.shift, present], 1)

    def _weights(self, images):
        """Fraction of each pixel inside each circle, to a tenth of a pixel."""
        ny, nx = images.shape[-2:]
        y = torch.arange(ny, device=images.device) - (ny - 1) / 2
        x = torch.arange(nx, device=images.device) - (nx - 1) / 2
        distance = (y[:, None] ** 2 + x[None, :] ** 2).sqrt()  # ONNX has no hypot
        radii = torch.tensor(self.radii, device=images.device)[:, None, None]
        return (radii - distance + 0.5).clamp(0, 1).to(images.dtype)
