"""Layers after the encoders: the classifier head, and inputs that bypass encoders."""

import copy

import torch
from torch import nn
from torch.nn import functional

from mantis_astro.exceptions import InputSpecError

__all__ = [
    "ApertureSums",
    "Perceptron",
    "PhotometryBranch",
    "RedshiftNetwork",
    "full_precision",
    "with_modules",
]


def full_precision(tensor):
    """
    Context without autocast.

    Magnitudes do not survive bfloat16: at 22 mag its steps are 3 % of the flux. So in
    mixed precision only the encoders compute with fewer bits.

    Parameters
    ----------
    tensor : `torch.Tensor`
        Any tensor on the device in question.

    Returns
    -------
    context manager
        To compute in.
    """
    return torch.autocast(tensor.device.type, enabled=False)


class RedshiftNetwork(nn.Module):
    """
    Base of all networks: a vector per object, the head, logits.

    Another set of encoders is a class that derives from this one and has a method
    ``join(images, ebv)``, which returns the vector that the head reads. Another head is
    a record with a method ``build(n_inputs, n_bins)``, the ``head`` of a configuration:
    it returns a module with a method ``features(x)`` and a `torch.nn.Linear` named
    ``last_layer``, which turns the features into logits.

    Parameters
    ----------
    n_inputs : int
        Length of the vector that the head reads.
    config : object
        Has ``n_bins`` and ``head``; where that is None, ``hidden`` is the width of the
        layer before the last one of the published head, two linear layers.

    Attributes
    ----------
    last_layer_name : str
        Path of the last layer among the modules of the network.
    micro_batch : int
        Objects in one call when many are predicted. Always as many, so that answers do
        not depend on how many objects are predicted together.
    encoder_names : tuple of str
        Paths of encoders of which each reads one of the images and nothing else, in
        the order of the images; empty where there are none such.

    Raises
    ------
    ValueError
        `~mantis_astro.exceptions.InputSpecError` if the head is not as described.
    """

    micro_batch = 8
    encoder_names = ()
    activation = staticmethod(functional.gelu)  # of the published head

    def __init__(self, n_inputs, config):
        super().__init__()
        if config.head is None:
            self.fc0 = nn.Linear(n_inputs, config.hidden)
            self.fc1 = nn.Linear(config.hidden, config.n_bins)
            self.last_layer_name = "fc1"
        else:
            self.head = config.head.build(n_inputs, config.n_bins)
            _check_head(self.head, config.n_bins)
            self.last_layer_name = "head.last_layer"

    @property
    def last_layer(self):
        """The linear layer that turns features into logits."""
        return self.get_submodule(self.last_layer_name)

    @property
    def n_features(self):
        """Length of the features."""
        return self.last_layer.in_features

    def features(self, images, ebv):
        """
        Vector that the last layer turns into logits.

        Parameters
        ----------
        images : `torch.Tensor` or tuple of `torch.Tensor`
            What the model's spec prepares.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_features).
        """
        x = self.join(images, ebv)
        with full_precision(ebv):
            if self.last_layer_name == "fc1":
                return self.activation(self.fc0(x))
            return self.head.features(x)

    def forward(self, images, ebv):
        """
        Logits of the redshift bins.

        Parameters
        ----------
        images : `torch.Tensor` or tuple of `torch.Tensor`
            What the model's spec prepares.
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_bins); their softmax is the probability in each bin.
        """
        features = self.features(images, ebv)
        with full_precision(features):
            return self.last_layer(features)


def with_modules(network, modules):
    """
    Copy a network with other modules, and share everything else.

    Parameters
    ----------
    network : `torch.nn.Module`
        Not changed.
    modules : dict of str to `torch.nn.Module`
        The new modules, by their paths.

    Returns
    -------
    `torch.nn.Module`
        A copy.
    """
    clone = copy.copy(network)
    clone._modules = dict(network._modules)
    for path, module in modules.items():
        name, _, rest = path.partition(".")
        child = clone._modules[name]
        clone._modules[name] = with_modules(child, {rest: module}) if rest else module
    return clone


def _check_head(head, n_bins):
    layer = getattr(head, "last_layer", None)
    if not isinstance(layer, nn.Linear) or layer.bias is None:
        msg = (
            "a head must have a linear layer with a bias as its attribute "
            f"'last_layer', got {layer!r}"
        )
        raise InputSpecError(msg)
    if layer.out_features != n_bins:
        msg = (
            f"the 'last_layer' of a head must give {n_bins} numbers, one for each "
            f"redshift bin, got {layer.out_features}"
        )
        raise InputSpecError(msg)
    if not callable(getattr(head, "features", None)):
        msg = f"a head must have a method 'features', {type(head).__name__} has none"
        raise InputSpecError(msg)


class Perceptron(nn.ModuleList):
    """
    Linear layers, each followed by a GELU.

    Parameters
    ----------
    n_inputs : int
        Length of the vector that it reads.
    widths : sequence of int
        Widths of the layers; without any it gives back what it reads.

    Attributes
    ----------
    n_outputs : int
        Length of the vector that it gives.
    """

    def __init__(self, n_inputs, widths):
        sizes = (n_inputs, *widths)
        super().__init__(
            nn.Linear(before, width)
            for before, width in zip(sizes, widths, strict=False)
        )
        self.n_outputs = sizes[-1]

    def forward(self, x):
        """
        Apply the layers.

        Parameters
        ----------
        x : `torch.Tensor`
            Shape (n_object, n_inputs).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_outputs).
        """
        for layer in self:
            x = functional.gelu(layer(x))
        return x


class PhotometryBranch(nn.Module):
    """
    Input that bypasses the encoders: E(B-V) and, optionally, aperture sums.

    Parameters
    ----------
    n_bands : sequence of int
        Number of channels of each image.
    config : EarlyFusionConfig or LateFusionConfig
        Its ``n_ebv``, ``aperture_radii`` and ``aperture_widths`` are used.

    Attributes
    ----------
    n_outputs : int
        Length of a row of the output.
    """

    def __init__(self, n_bands, config):
        super().__init__()
        radii = config.aperture_radii
        self.sums = nn.ModuleList(ApertureSums(n, radii) for n in n_bands if radii)
        n_inputs = sum(sums.n_outputs for sums in self.sums) + config.n_ebv
        self.layers = Perceptron(n_inputs, config.aperture_widths)
        self.n_outputs = self.layers.n_outputs

    @torch.no_grad()
    def standardize(self, images):
        """
        Initialise every sum to mean 0 and variance 1 over some galaxies.

        Parameters
        ----------
        images : sequence of `torch.Tensor`
            Each of shape (n_object, n_band, ny, nx); at best hundreds of galaxies.
        """
        for sums, x in zip(self.sums, images, strict=False):
            sums.standardize(x)

    def forward(self, images, ebv):
        """
        Join the sums of all images and E(B-V).

        Parameters
        ----------
        images : sequence of `torch.Tensor`
            Each of shape (n_object, n_band, ny, nx).
        ebv : `torch.Tensor`
            E(B-V) in magnitudes, shape (n_object, n_ebv).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_outputs).
        """
        # without radii there are no sums, and E(B-V) stands alone
        with full_precision(ebv):
            parts = [sums(x) for sums, x in zip(self.sums, images, strict=False)]
            return self.layers(torch.cat([*parts, ebv], 1))


class ApertureSums(nn.Module):
    """
    Fluxes in round apertures, computed beside the convolutions.

    A network that must learn to add up pixels learns slowly; given the sums it learns
    colours at once. Images are read as ``asinh(flux / scale)``; the sums go through
    the same function, after a learned scale and shift for each. A band whose pixels
    are all exactly zero was not observed; one more input for each band says so.

    Parameters
    ----------
    n_bands : int
        Number of channels of the images.
    radii : sequence of float
        Radii of the apertures in pixels.

    Attributes
    ----------
    n_outputs : int
        Length of a row of the output: each band's sums, and whether it is there.
    """

    # Beyond it the hyperbolic sine of a float32 would overflow in a sum.
    LARGEST = 40.0

    def __init__(self, n_bands, radii):
        super().__init__()
        self.radii = tuple(radii)
        n_sums = n_bands * len(self.radii)
        self.n_outputs = n_sums + n_bands
        self.scale = nn.Parameter(torch.ones(n_sums))
        self.shift = nn.Parameter(torch.zeros(n_sums))

    @torch.no_grad()
    def standardize(self, images):
        """
        Choose scale and shift so that the sums have mean 0 and variance 1.

        Parameters
        ----------
        images : `torch.Tensor`
            Shape (n_object, n_band, ny, nx); bands that are missing do not count.
        """
        sums = self._sums(images)  # (n_object, n_band, n_radius)
        there = _present(images)[:, :, None].expand_as(sums)
        n = there.sum(0).clamp(min=1)
        mean = (sums * there).sum(0) / n
        variance = ((sums - mean) ** 2 * there).sum(0) / n
        scale = torch.where(variance > 0, variance, 1.0).rsqrt()
        self.scale.copy_(scale.flatten())
        self.shift.copy_((-mean * scale).flatten())

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
        sums = self._sums(images).flatten(1)  # (n_object, n_band * n_radius)
        present = _present(images).to(images.dtype)
        return torch.cat([sums * self.scale + self.shift, present], 1)

    def _sums(self, images):
        """Stretched sums, (n_object, n_band, n_radius)."""
        weights = self._weights(images)  # (n_radius, ny, nx)
        flux = torch.sinh(images.clamp(-self.LARGEST, self.LARGEST))
        return torch.asinh(flux.flatten(2) @ weights.flatten(1).T)

    def _weights(self, images):
        """Fraction of each pixel inside each circle, to a tenth of a pixel."""
        ny, nx = images.shape[-2:]
        y = torch.arange(ny, device=images.device) - (ny - 1) / 2
        x = torch.arange(nx, device=images.device) - (nx - 1) / 2
        distance = (y[:, None] ** 2 + x[None, :] ** 2).sqrt()  # ONNX has no hypot
        radii = torch.tensor(self.radii, device=images.device)[:, None, None]
        return (radii - distance + 0.5).clamp(0, 1).to(images.dtype)


def _present(images):
    """Whether each band was observed, (n_object, n_band)."""
    return images.abs().amax((2, 3)) != 0
