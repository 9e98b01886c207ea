"""Output of the informer: a model, and zero points of the sample."""

import json
from dataclasses import dataclass

import astropy.units as u
import numpy as np
import safetensors
import safetensors.torch

from mantis_astro.adaptation import ZeroPoints
from mantis_astro.atomic import atomic_file
from mantis_astro.bands import get_bands
from mantis_astro.photoz import PhotoZ

__all__ = ["InformedModel"]

_KEY = "mantis_astro.zero_points"  # of the metadata of the file


@dataclass(frozen=True, eq=False)
class InformedModel:
    """
    Redshift model with the preparation of its photometry.

    Attributes
    ----------
    photoz : PhotoZ
        The model.
    zero_points : `~mantis_astro.adaptation.ZeroPoints` or None
        Offsets of the sample's magnitudes, which are taken off.

    Examples
    --------
    >>> from mantis_astro import PhotoZ
    >>> from mantis_astro.rail import InformedModel
    >>> model = InformedModel(PhotoZ.from_pretrained("any-band"))
    >>> path = getfixture("tmp_path") / "model.safetensors"
    >>> model.write(path)
    >>> InformedModel.read(path).photoz
    <PhotoZ any-band: ... of any bands, z = 0 to ...>
    """

    photoz: PhotoZ
    zero_points: ZeroPoints | None = None

    def write(self, path):
        """
        Write the model into a file.

        Parameters
        ----------
        path : str or path-like
            Where to; `PhotoZ.from_file` reads it as well.
        """
        with atomic_file(path) as temporary:  # never a model without its zero points
            self.photoz.save(temporary)
            if self.zero_points is not None:
                with safetensors.safe_open(temporary, "pt") as stream:
                    metadata = dict(stream.metadata())
                metadata[_KEY] = json.dumps(_to_plain(self.zero_points))
                weights = safetensors.torch.load(temporary.read_bytes())
                safetensors.torch.save_file(weights, temporary, metadata=metadata)

    @classmethod
    def read(cls, path):
        """
        Read a model from a file.

        Parameters
        ----------
        path : str or path-like
            What `write` or `PhotoZ.save` wrote.

        Returns
        -------
        InformedModel
            The model.

        Raises
        ------
        OSError
            `~mantis_astro.exceptions.FetchError` if it is no file of weights.
        """
        photoz = PhotoZ.from_file(path)
        with safetensors.safe_open(path, "pt") as stream:
            text = (stream.metadata() or {}).get(_KEY)
        return cls(photoz, None if text is None else _from_plain(json.loads(text)))


def _to_plain(points):
    return {
        "bands": [str(band) for band in points.bands],
        "offset": points.offset.to_value(u.mag).tolist(),
        "offset_err": points.offset_err.to_value(u.mag).tolist(),
        "scatter": np.asarray(points.scatter).tolist(),
        "n": np.asarray(points.n).tolist(),
        "reference": [str(band) for band in points.reference],
    }


def _from_plain(plain):
    return ZeroPoints(
        get_bands(plain["bands"]),
        plain["offset"] * u.mag,
        plain["offset_err"] * u.mag,
        np.array(plain["scatter"]),
        np.array(plain["n"]),
        get_bands(plain["reference"]),
    )
