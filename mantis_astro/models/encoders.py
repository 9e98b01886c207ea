"""ConvNeXt encoders in plain torch, with the parameter names of timm."""

import torch
from torch import nn
from torch.nn import functional

from mantis_astro.records import record

__all__ = ["ConvNeXt", "EncoderConfig"]


@record("convnext")
class EncoderConfig:
    """
    Size of a ConvNeXt encoder.

    Another encoder is a record with ``in_channels``, ``n_features`` and a method
    ``build``, which makes a module that turns images of shape (n_object, in_channels,
    ny, nx) into features of shape (n_object, n_features).

    Attributes
    ----------
    in_channels : int
        Number of image channels.
    depths : tuple of int
        Number of blocks in each stage.
    widths : tuple of int
        Number of channels in each stage; the last is the number of features.
    kernel_size : int
        Side of the depthwise kernels, odd.
    patch_size : int
        Side and stride of the stem.

    Examples
    --------
    >>> from mantis_astro.models.encoders import EncoderConfig
    >>> EncoderConfig(9, depths=(1, 1), widths=(8, 16)).n_features
    16
    """

    in_channels: int
    depths: tuple
    widths: tuple
    kernel_size: int = 7
    patch_size: int = 4

    @classmethod
    def large(cls, in_channels):
        """
        Sizes of ConvNeXt-Large (Liu et al. 2022, table 9).

        Parameters
        ----------
        in_channels : int
            Number of channels of the images.

        Returns
        -------
        EncoderConfig
            Its sizes.
        """
        return cls(in_channels, (3, 3, 27, 3), (192, 384, 768, 1536))

    @classmethod
    def small(cls, in_channels):
        """
        Sizes of ConvNeXt-Small.

        Parameters
        ----------
        in_channels : int
            Number of channels of the images.

        Returns
        -------
        EncoderConfig
            Its sizes.
        """
        return cls(in_channels, (3, 3, 27, 3), (96, 192, 384, 768))

    @property
    def n_features(self):
        """Length of the feature vector."""
        return self.widths[-1]

    def build(self):
        """Make the encoder, with random weights."""
        return ConvNeXt(self)


class ConvNeXt(nn.Module):
    """
    Images to one feature vector each.

    Parameters
    ----------
    config : EncoderConfig
        Size of the encoder.

    Notes
    -----
    Liu et al. 2022 (arXiv:2201.03545). Names and shapes of the parameters are those
    of timm's ``ConvNeXt(num_classes=0)``, so its state dictionaries load strictly.
    Activations stay channels-last throughout; for inference on a CPU see
    `~mantis_astro.models.accelerate`.
    """

    def __init__(self, config):
        super().__init__()
        widths = config.widths
        self.stem = nn.Sequential(
            nn.Conv2d(
                config.in_channels,
                widths[0],
                config.patch_size,
                stride=config.patch_size,
            ),
            ChannelNorm(widths[0]),
        )
        self.stages = nn.Sequential(
            *(
                Stage(before, width, depth, config.kernel_size)
                for before, width, depth in zip(
                    (None, *widths), widths, config.depths, strict=False
                )
            )
        )
        self.head = nn.Module()
        self.head.norm = nn.LayerNorm(widths[-1], eps=1e-6)

    def forward(self, x):
        """
        Encode images.

        Parameters
        ----------
        x : `torch.Tensor`
            Shape (n_object, n_channel, ny, nx).

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_feature).
        """
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.stages(self.stem(x))  # (n_object, n_feature, ny/32, nx/32)
        return self.head.norm(x.mean((2, 3)))


class Stage(nn.Module):
    """Halve the image (but in the first stage), then a chain of blocks."""

    def __init__(self, before, width, depth, kernel_size):
        super().__init__()
        if before is None:
            self.downsample = nn.Identity()
        else:
            self.downsample = nn.Sequential(
                ChannelNorm(before), nn.Conv2d(before, width, 2, stride=2)
            )
        self.blocks = nn.Sequential(*(Block(width, kernel_size) for _ in range(depth)))

    def forward(self, x):
        return self.blocks(self.downsample(x))


class Block(nn.Module):
    """Depthwise convolution, norm, two-layer perceptron, scaled and added."""

    def __init__(self, width, kernel_size):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))
        self.conv_dw = nn.Conv2d(
            width, width, kernel_size, padding=kernel_size // 2, groups=width
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Module()
        self.mlp.fc1 = nn.Linear(width, 4 * width)
        self.mlp.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        # A channels-last image is contiguous in this view: nothing is copied.
        residual = self.conv_dw(x).permute(0, 2, 3, 1)  # (n_object, ny, nx, n_channel)
        residual = self.mlp.fc1(self.norm(residual))
        residual = self.mlp.fc2(functional.gelu(residual))
        return torch.addcmul(x, residual.permute(0, 3, 1, 2), self.gamma[:, None, None])


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel of (n_object, n_channel, ny, nx)."""

    def __init__(self, width):
        super().__init__(width, eps=1e-6)

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
