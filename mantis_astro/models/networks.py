"""The three networks: early fusion, late fusion, photometric."""

import torch
from torch.nn import functional

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.encoders import ConvNeXt, EncoderConfig
from mantis_astro.models.heads import (
    Head,
    Perceptron,
    PhotometryBranch,
    full_precision,
)
from mantis_astro.records import record

__all__ = [
    "EarlyFusion",
    "EarlyFusionConfig",
    "LateFusion",
    "LateFusionConfig",
    "Photometric",
    "PhotometricConfig",
    "build_network",
]


@record("early_fusion")
class EarlyFusionConfig:
    """
    Size of an `EarlyFusion` network.

    Attributes
    ----------
    encoder : EncoderConfig
        The one encoder of all bands.
    n_bins : int
        Number of redshift bins.
    n_ebv : int
        Number of E(B-V) inputs.
    hidden : int
        Width of the layer before the last: the length of the features.
    aperture_radii : tuple of float
        Radii, in pixels, of aperture sums that join the encoder's features; none in
        the published network.
    aperture_widths : tuple of int
        Widths of layers that the aperture sums and E(B-V) go through before they join.
    """

    encoder: EncoderConfig
    n_bins: int
    n_ebv: int = 2
    hidden: int = 2048
    aperture_radii: tuple = ()
    aperture_widths: tuple = ()

    def build(self):
        """Make the network, with random weights."""
        return EarlyFusion(self)


@record("late_fusion")
class LateFusionConfig:
    """
    Size of a `LateFusion` network.

    Attributes
    ----------
    galex, ps1, unwise : EncoderConfig
        One encoder for each survey.
    n_bins : int
        Number of redshift bins.
    n_ebv : int
        Number of E(B-V) inputs.
    hidden : int
        Width of the layer before the last: the length of the features.
    aperture_radii, aperture_widths : tuple
        As for `EarlyFusionConfig`; the radii are in pixels of each image.
    """

    galex: EncoderConfig
    ps1: EncoderConfig
    unwise: EncoderConfig
    n_bins: int
    n_ebv: int = 2
    hidden: int = 2048
    aperture_radii: tuple = ()
    aperture_widths: tuple = ()

    def build(self):
        """Make the network, with random weights."""
        return LateFusion(self)


@record("photometric")
class PhotometricConfig:
    """
    Size of a `Photometric` network.

    Attributes
    ----------
    n_inputs : int
        Length of the input vector, see `PhotometrySpec`.
    n_bins : int
        Number of redshift bins.
    n_ebv : int
        Number of E(B-V) inputs.
    widths : tuple of int
        Widths of the layers before the head.
    hidden : int
        Width of the layer before the last: the length of the features.
    """

    n_inputs: int
    n_bins: int
    n_ebv: int = 2
    widths: tuple = (256, 256)
    hidden: int = 256

    def build(self):
        """Make the network, with random weights."""
        return Photometric(self)


def build_network(config):
    """
    Make the network that a configuration describes.

    Parameters
    ----------
    config : EarlyFusionConfig, LateFusionConfig or PhotometricConfig
        Its size.

    Returns
    -------
    `torch.nn.Module`
        In evaluation mode, called as ``network(images, ebv)``; weights are random.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if it describes no network.
    """
    if not hasattr(config, "build"):
        msg = f"'config' must describe a network, got {config!r}"
        raise InputSpecError(msg)
    return config.build().eval()


class EarlyFusion(Head):
    """
    All bands stacked as channels of one image, one encoder.

    Parameters
    ----------
    config : EarlyFusionConfig
        Size of the network.

    Notes
    -----
    Engel et al. 2025 (arXiv:2501.09112). With ``EncoderConfig.large(9)``, 400 bins
    and no apertures, the 346 parameters have the names and shapes of the published
    weights.
    """

    def __init__(self, config):
        encoder = config.encoder
        photometry = PhotometryBranch([encoder.in_channels], config)
        n_inputs = encoder.n_features + photometry.n_outputs
        super().__init__(n_inputs, config.hidden, config.n_bins)
        self.Base = ConvNeXt(encoder)
        self.photometry = photometry

    def features(self, images, ebv):
        """
        Vector that the last layer turns into logits.

        Parameters
        ----------
        images : `torch.Tensor`
            Shape (n_object, n_band, ny, nx).
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, hidden).
        """
        x, beside = self.Base(images), self.photometry([images], ebv)
        with full_precision(ebv):
            x = torch.cat([x.to(ebv.dtype), beside], 1)
            return functional.gelu(self.fc0(x))


class LateFusion(Head):
    """
    One encoder for each survey; their features are joined.

    Parameters
    ----------
    config : LateFusionConfig
        Size of the network.

    Notes
    -----
    Engel et al. 2025 (arXiv:2501.09112). Images come as a tuple (GALEX, PS1, unWISE),
    each of its own size; features are joined in the order PS1, unWISE, GALEX.
    """

    def __init__(self, config):
        encoders = (config.galex, config.ps1, config.unwise)
        photometry = PhotometryBranch([e.in_channels for e in encoders], config)
        n_features = sum(encoder.n_features for encoder in encoders)
        super().__init__(
            n_features + photometry.n_outputs, config.hidden, config.n_bins
        )
        self.model_galex = ConvNeXt(config.galex)
        self.model_ps = ConvNeXt(config.ps1)
        self.model_unwise = ConvNeXt(config.unwise)
        self.photometry = photometry

    def features(self, images, ebv):
        """
        Vector that the last layer turns into logits.

        Parameters
        ----------
        images : tuple of `torch.Tensor`
            GALEX, PS1 and unWISE, each of shape (n_object, n_band, ny, nx).
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, hidden).
        """
        galex, ps1, unwise = images
        x = torch.cat(
            [self.model_ps(ps1), self.model_unwise(unwise), self.model_galex(galex)], 1
        )
        beside = self.photometry(images, ebv)
        with full_precision(ebv):
            x = torch.cat([functional.relu(x.to(ebv.dtype)), beside], 1)
            return functional.relu(self.fc0(x))


class Photometric(Head):
    """
    A multilayer perceptron on magnitudes, with the head of the other two.

    Parameters
    ----------
    config : PhotometricConfig
        Size of the network.
    """

    micro_batch = 256

    def __init__(self, config):
        layers = Perceptron(config.n_inputs + config.n_ebv, config.widths)
        super().__init__(layers.n_outputs, config.hidden, config.n_bins)
        self.layers = layers

    def features(self, images, ebv):
        """
        Vector that the last layer turns into logits.

        Parameters
        ----------
        images : `torch.Tensor`
            Photometry as `PhotometrySpec` prepares it, shape (n_object, n_input).
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, hidden).
        """
        with full_precision(ebv):
            x = self.layers(torch.cat([images, ebv], 1))
            return functional.gelu(self.fc0(x))
