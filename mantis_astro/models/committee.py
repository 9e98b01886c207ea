"""`Committee`: several networks whose p(z) are averaged, as one network."""

import math

import numpy as np
import torch
from torch import nn

from mantis_astro.exceptions import InputSpecError
from mantis_astro.records import record

__all__ = ["Committee", "CommitteeConfig"]


@record("committee")
class CommitteeConfig:
    """
    Networks of a `Committee`.

    Attributes
    ----------
    members : tuple
        Their configurations, at least one; all of the same redshift bins and inputs.

    Examples
    --------
    >>> from mantis_astro.models import CommitteeConfig, PhotometricConfig
    >>> CommitteeConfig((PhotometricConfig(6, 20),) * 3).n_bins
    20
    """

    members: tuple

    def __post_init__(self):
        if not self.members:
            msg = "'members' must have at least one network"
            raise InputSpecError(msg)
        for name in ("n_bins", "n_ebv"):
            values = {getattr(member, name) for member in self.members}
            if len(values) > 1:
                msg = f"'members' must have the same {name}, got {sorted(values)}"
                raise InputSpecError(msg)

    @property
    def n_bins(self):
        """Number of redshift bins."""
        return self.members[0].n_bins

    @property
    def n_ebv(self):
        """Number of E(B-V) inputs."""
        return self.members[0].n_ebv

    def build(self):
        """Make the networks, with random weights."""
        return Committee([member.build() for member in self.members])


class Committee(nn.Module):
    """
    The average of the p(z) of several networks of the same inputs.

    Its features are those of all members, one after another. It has no linear last
    layer, so that it cannot be refitted.

    Parameters
    ----------
    members : sequence of RedshiftNetwork
        The networks.
    """

    last_layer_name = ""  # there is none
    encoder_names = ()

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)
        if hasattr(members[0], "groups"):  # of any bands: which objects go together
            self.groups = members[0].groups

    @property
    def micro_batch(self):
        """Objects in one call when many are predicted."""
        return self.members[0].micro_batch

    @property
    def n_features(self):
        """Length of the features."""
        return sum(member.n_features for member in self.members)

    @property
    def tells_stars(self):
        """Whether all members compute the probability of a star."""
        return all(hasattr(member, "star") for member in self.members)

    def star_probability(self, features):
        """
        Probability that objects are stars: the mean of the members'.

        Parameters
        ----------
        features : `~numpy.ndarray`
            What `features` gives, shape (n_object, n_features).

        Returns
        -------
        `~numpy.ndarray`
            Shape (n_object,), float32.
        """
        ends = np.cumsum([member.n_features for member in self.members])[:-1]
        parts = np.split(features, ends, axis=1)
        each = [
            member.star_probability(part)
            for member, part in zip(self.members, parts, strict=True)
        ]
        return np.mean(each, axis=0, dtype=np.float32)

    def features(self, images, ebv):
        """
        Features of all members.

        Parameters
        ----------
        images, ebv
            As for `RedshiftNetwork.features`.

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_features).
        """
        return torch.cat([m.features(images, ebv) for m in self.members], 1)

    def last_layer(self, features):
        """
        Logits from features.

        Parameters
        ----------
        features : `torch.Tensor`
            As `features` gives them.

        Returns
        -------
        `torch.Tensor`
            Logarithm of the mean probability, shape (n_object, n_bins).
        """
        parts = features.split([m.n_features for m in self.members], 1)
        logs = [
            torch.log_softmax(member.last_layer(part), 1)
            for member, part in zip(self.members, parts, strict=True)
        ]
        return torch.logsumexp(torch.stack(logs), 0) - math.log(len(logs))

    def forward(self, images, ebv):
        """
        Logits of the redshift bins.

        Parameters
        ----------
        images, ebv
            As for `RedshiftNetwork`.

        Returns
        -------
        `torch.Tensor`
            Shape (n_object, n_bins).
        """
        return self.last_layer(self.features(images, ebv))
