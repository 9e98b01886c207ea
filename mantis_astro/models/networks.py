"""The three networks: early fusion, late fusion, photometric."""

from itertools import groupby

import torch
from torch.nn import functional

from mantis_astro.bands import get_band
from mantis_astro.exceptions import InputSpecError
from mantis_astro.models.encoders import EncoderConfig
from mantis_astro.models.heads import (
    Perceptron,
    PhotometryBranch,
    RedshiftNetwork,
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
    "SurveyFusionConfig",
    "build_network",
]


@record("early_fusion")
class EarlyFusionConfig:
    """
    Size of an `EarlyFusion` network.

    Attributes
    ----------
    encoder : EncoderConfig
        The one encoder of all bands; or a record of one's own, see `EncoderConfig`.
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
    head : object or None
        Record of another head than the published one, whose width is ``hidden``; see
        `RedshiftNetwork`.
    """

    encoder: EncoderConfig
    n_bins: int
    n_ebv: int = 2
    hidden: int = 2048
    aperture_radii: tuple = ()
    aperture_widths: tuple = ()
    head: object = None

    def build(self):
        """Make the network, with random weights."""
        return EarlyFusion(self)


@record("late_fusion")
class LateFusionConfig:
    """
    Size of a `LateFusion` network of the three published surveys.

    For other surveys, see `SurveyFusionConfig`.

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
    head : object or None
        As for `EarlyFusionConfig`.
    """

    galex: EncoderConfig
    ps1: EncoderConfig
    unwise: EncoderConfig
    n_bins: int
    n_ebv: int = 2
    hidden: int = 2048
    aperture_radii: tuple = ()
    aperture_widths: tuple = ()
    head: object = None

    # the published order of their features
    joined = ("ps1", "unwise", "galex")

    @property
    def encoders(self):
        """Survey and encoder of each image, in the order of the images."""
        return (("galex", self.galex), ("ps1", self.ps1), ("unwise", self.unwise))

    def build(self):
        """Make the network, with random weights."""
        return LateFusion(self)


@record("survey_fusion")
class SurveyFusionConfig:
    """
    Size of a `LateFusion` network of any surveys.

    Attributes
    ----------
    encoders : tuple of (str, EncoderConfig)
        Survey and encoder of each image, in the order of the images; encoders may be
        records of one's own, see `EncoderConfig`.
    n_bins, n_ebv, hidden, aperture_radii, aperture_widths, head
        As for `LateFusionConfig`.

    Examples
    --------
    >>> from mantis_astro.models import EncoderConfig, InputSpec, SurveyFusionConfig
    >>> spec = InputSpec.published_late()
    >>> config = SurveyFusionConfig.of(spec, EncoderConfig.small, n_bins=400)
    >>> [(survey, encoder.in_channels) for survey, encoder in config.encoders]
    [('galex', 2), ('ps1', 5), ('unwise', 2)]
    """

    encoders: tuple
    n_bins: int
    n_ebv: int = 2
    hidden: int = 2048
    aperture_radii: tuple = ()
    aperture_widths: tuple = ()
    head: object = None

    @classmethod
    def of(
        cls,
        spec,
        encoder,
        *,
        n_bins,
        hidden=2048,
        aperture_radii=(),
        aperture_widths=(),
        head=None,
    ):
        """
        Create the configuration for an input spec.

        Parameters
        ----------
        spec : InputSpec
            Names the bands, those of a survey next to each other, and the dust maps.
        encoder : callable
            Called with a number of channels, returns the encoder of a survey with as
            many bands: `EncoderConfig.small`, say.
        n_bins : int
            Number of redshift bins.
        hidden, aperture_radii, aperture_widths, head
            As for `LateFusionConfig`.

        Returns
        -------
        SurveyFusionConfig
            With an encoder for each survey of the spec.

        Raises
        ------
        ValueError
            `~mantis_astro.exceptions.InputSpecError` if bands of a survey are apart.
        """
        bands = [get_band(band) for band in spec.bands]
        encoders = tuple(
            (survey, encoder(len(list(group))))
            for survey, group in groupby(bands, key=lambda band: band.survey)
        )
        return cls(
            encoders,
            n_bins,
            n_ebv=len(spec.ebv_maps),
            hidden=hidden,
            aperture_radii=aperture_radii,
            aperture_widths=aperture_widths,
            head=head,
        )

    def __post_init__(self):
        if len(dict(self.encoders)) < len(self.encoders):
            names = ", ".join(self.joined)
            msg = f"'encoders' must have each survey once, got {names}"
            raise InputSpecError(msg)

    @property
    def joined(self):
        """Surveys in the order of their features."""
        return tuple(survey for survey, _ in self.encoders)

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
    head : object or None
        As for `EarlyFusionConfig`.
    """

    n_inputs: int
    n_bins: int
    n_ebv: int = 2
    widths: tuple = (256, 256)
    hidden: int = 256
    head: object = None

    def build(self):
        """Make the network, with random weights."""
        return Photometric(self)


def build_network(config):
    """
    Make the network that a configuration describes.

    Parameters
    ----------
    config : object
        Its size, such as `EarlyFusionConfig`: a record with a method ``build`` that
        makes a `RedshiftNetwork`.

    Returns
    -------
    RedshiftNetwork
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


class EarlyFusion(RedshiftNetwork):
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
        super().__init__(n_inputs, config)
        self.Base = encoder.build()
        self.photometry = photometry

    def join(self, images, ebv):
        """
        Vector that the head reads.

        Parameters
        ----------
        images : `torch.Tensor`
            Shape (n_object, n_band, ny, nx).
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_input).
        """
        x, beside = self.Base(images), self.photometry([images], ebv)
        return torch.cat([x.to(ebv.dtype), beside], 1)


class LateFusion(RedshiftNetwork):
    """
    One encoder for each survey; their features are joined.

    Parameters
    ----------
    config : LateFusionConfig or SurveyFusionConfig
        Size of the network.

    Notes
    -----
    Engel et al. 2025 (arXiv:2501.09112). Images come as a tuple, one for each survey
    in the order of the configuration's encoders (GALEX, PS1, unWISE), each of its own
    size; the features of the published network are joined in the order PS1, unWISE,
    GALEX.
    """

    activation = staticmethod(functional.relu)

    def __init__(self, config):
        encoders = dict(config.encoders)
        photometry = PhotometryBranch(
            [encoder.in_channels for encoder in encoders.values()], config
        )
        n_features = sum(encoder.n_features for encoder in encoders.values())
        super().__init__(n_features + photometry.n_outputs, config)
        names = {survey: f"model_{survey}" for survey in encoders}
        if "ps1" in names:
            names["ps1"] = "model_ps"  # as published
        for survey, encoder in encoders.items():
            self.add_module(names[survey], encoder.build())
        self.photometry = photometry
        self.encoder_names = tuple(names.values())
        self._joined = [list(encoders).index(survey) for survey in config.joined]

    def join(self, images, ebv):
        """
        Vector that the head reads.

        Parameters
        ----------
        images : tuple of `torch.Tensor`
            One for each survey, each of shape (n_object, n_band, ny, nx).
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_input).
        """
        encoded = [
            self.get_submodule(self.encoder_names[i])(images[i]) for i in self._joined
        ]
        x = torch.cat(encoded, 1)
        beside = self.photometry(images, ebv)
        return torch.cat([functional.relu(x.to(ebv.dtype)), beside], 1)


class Photometric(RedshiftNetwork):
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
        super().__init__(layers.n_outputs, config)
        self.layers = layers

    def join(self, images, ebv):
        """
        Vector that the head reads.

        Parameters
        ----------
        images : `torch.Tensor`
            Photometry as `PhotometrySpec` prepares it, shape (n_object, n_input).
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_input).
        """
        with full_precision(ebv):
            return self.layers(torch.cat([images, ebv], 1))
