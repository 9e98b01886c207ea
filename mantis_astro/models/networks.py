"""The three networks: early fusion, late fusion, photometric."""

import torch
from torch import nn
from torch.nn import functional

from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.encoders import ConvNeXt, EncoderConfig
from mantis_astro.models.heads import ApertureSums, Head
from mantis_astro.models.records import record

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
    """

    encoder: EncoderConfig
    n_bins: int
    n_ebv: int = 2
    hidden: int = 2048
    aperture_radii: tuple = ()

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
    """

    galex: EncoderConfig
    ps1: EncoderConfig
    unwise: EncoderConfig
    n_bins: int
    n_ebv: int = 2
    hidden: int = 2048

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
        n_features = config.encoder.n_features
        if config.aperture_radii:
            n_features += ApertureSums.count(config)
        super().__init__(n_features + config.n_ebv, config.hidden, config.n_bins)
        self.Base = ConvNeXt(config.encoder)
        self.apertures = ApertureSums(config) if config.aperture_radii else None

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
        parts = [self.Base(images), ebv]
        if self.apertures is not None:
            parts.append(self.apertures(images))
        return functional.gelu(self.fc0(torch.cat(parts, 1)))


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
        encoders = (config.ps1, config.unwise, config.galex)
        n_features = sum(encoder.n_features for encoder in encoders)
        super().__init__(n_features + config.n_ebv, config.hidden, config.n_bins)
        self.model_galex = ConvNeXt(config.galex)
        self.model_ps = ConvNeXt(config.ps1)
        self.model_unwise = ConvNeXt(config.unwise)

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
        return functional.relu(self.fc0(torch.cat([functional.relu(x), ebv], 1)))


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
        widths = (config.n_inputs + config.n_ebv, *config.widths)
        super().__init__(widths[-1], config.hidden, config.n_bins)
        self.layers = nn.ModuleList(
            nn.Linear(before, width)
            for before, width in zip(widths, config.widths, strict=False)
        )

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
        x = torch.cat([images, ebv], 1)
        for layer in self.layers:
            x = functional.gelu(layer(x))
        return functional.gelu(self.fc0(x))
