"""Heads, encoders and sets of encoders that are not the package's own."""

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData
from astropy.table import QTable
from torch import nn

from mantis_astro import ModelCard, MultibandCutout, PhotoZ, common_wcs
from mantis_astro.bands import get_band, get_survey
from mantis_astro.exceptions import InputSpecError
from mantis_astro.flags import Flag
from mantis_astro.models import (
    CommonGrid,
    EarlyFusionConfig,
    EncoderConfig,
    InputSpec,
    LateFusionConfig,
    PhotometricConfig,
    PhotometrySpec,
    RedshiftNetwork,
    SurveyFusionConfig,
    SurveyGrids,
    build_network,
    shapley_values,
)
from mantis_astro.models.coalitions import iter_coalitions
from mantis_astro.models.reference_files import encoder_sha256
from mantis_astro.models.stretches import FluxAsinhStretch
from mantis_astro.records import record

EDGES = tuple(np.linspace(0, 1, 9))
N_BINS, WIDTH = 8, 6


class ResidualHead(nn.Module):
    def __init__(self, n_inputs, width, n_bins):
        super().__init__()
        self.first = nn.Linear(n_inputs, width)
        self.second = nn.Linear(width, width)
        self.last_layer = nn.Linear(width, n_bins)

    def features(self, x):
        x = torch.relu(self.first(x))
        return x + torch.relu(self.second(x))


@record("test_residual_head")
class ResidualHeadConfig:
    width: int = WIDTH

    def build(self, n_inputs, n_bins):
        return ResidualHead(n_inputs, self.width, n_bins)


@record("test_mean_encoder")
class MeanEncoderConfig:
    """Averages over pixels, a layer behind them."""

    in_channels: int
    n_features: int = 5

    def build(self):
        return nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(self.in_channels, self.n_features),
        )


@record("test_colour_network")
class ColourNetworkConfig:
    """A set of inputs of its own: ratios of the first numbers of a table."""

    n_inputs: int
    n_bins: int
    n_ebv: int = 2
    hidden: int = WIDTH
    head: object = None

    def build(self):
        return ColourNetwork(self)


class ColourNetwork(RedshiftNetwork):
    micro_batch = 32

    def __init__(self, config):
        super().__init__(config.n_inputs - 1 + config.n_ebv, config)

    def join(self, images, ebv):
        return torch.cat([images.diff(dim=1), ebv], 1)


BANDS = ("ps1.g", "ps1.r", "ps1.i")
PHOTOMETRY = PhotometrySpec(BANDS, asinh_scale=(300.0,) * 3)


def images_of(bands, geometry=CommonGrid):
    return InputSpec(
        bands, geometry((16, 16), 1.0), (FluxAsinhStretch(500.0),) * len(bands)
    )


def two_surveys():
    return images_of((*BANDS, "legacysurvey.g", "legacysurvey.z"), SurveyGrids)


def config_and_spec(name):
    encoder = EncoderConfig(3, (1,), (8,))
    if name == "early, own head":
        return EarlyFusionConfig(encoder, N_BINS, head=ResidualHeadConfig()), images_of(
            BANDS
        )
    if name == "early, own encoder":
        config = EarlyFusionConfig(MeanEncoderConfig(3), N_BINS, hidden=WIDTH)
        return config, images_of(BANDS)
    if name == "other surveys":
        spec = two_surveys()
        config = SurveyFusionConfig.of(
            spec, MeanEncoderConfig, n_bins=N_BINS, head=ResidualHeadConfig()
        )
        return config, spec
    if name == "photometric, own head":
        head = ResidualHeadConfig()
        return PhotometricConfig(9, N_BINS, widths=(16,), head=head), PHOTOMETRY
    return ColourNetworkConfig(9, N_BINS), PHOTOMETRY


NAMES = (
    "early, own head",
    "early, own encoder",
    "other surveys",
    "photometric, own head",
    "own network",
)


@pytest.fixture(params=NAMES)
def photoz(request):
    config, spec = config_and_spec(request.param)
    torch.manual_seed(5)
    network = build_network(config)
    return PhotoZ(network, ModelCard("own", config, spec, EDGES))


def sample(spec, n=12):
    rng = np.random.default_rng(2)
    if isinstance(spec, PhotometrySpec):
        table = QTable()
        for band in spec.bands:
            flux, error = spec.columns(band)
            table[flux] = rng.uniform(1e3, 1e5, n) * u.nJy
            table[error] = np.full(n, 300.0) * u.nJy
        return table
    coord = SkyCoord(150.1, 2.2, unit="deg")
    scales = {b: get_survey(get_band(b).survey).pixel_scale for b in spec.bands}
    wcs = {band: common_wcs(coord, (80, 80), scales[band]) for band in spec.bands}
    return [
        MultibandCutout(
            coord,
            {
                band: CCDData(rng.normal(0, 500, (80, 80)), unit="nJy", wcs=wcs[band])
                for band in spec.bands
            },
        )
        for _ in range(n)
    ]


def test_the_interface_holds(photoz):
    network, data = photoz.network, sample(photoz.card.spec)
    prepared = photoz.prepare(data, 0.02)
    with torch.inference_mode():
        features = network.features(prepared.images, prepared.ebv)
        logits = network(prepared.images, prepared.ebv)
        assert torch.equal(logits, network.last_layer(features))
    assert features.shape == (12, network.n_features) == (12, WIDTH)
    assert network.get_submodule(network.last_layer_name) is network.last_layer
    assert logits.shape == (12, N_BINS)


def test_it_predicts_as_its_layers_do(photoz):
    data = sample(photoz.card.spec)
    pdf = photoz.predict(data, ebv=0.02)
    assert not (pdf.flags & Flag.NO_DATA).any()
    features = photoz.features(data, ebv=0.02)
    assert features.shape == (12, WIDTH)
    with torch.inference_mode():
        logits = photoz.network.last_layer(torch.from_numpy(features))
    expected = torch.softmax(logits, -1).numpy()
    np.testing.assert_allclose(pdf.probability, expected, atol=1e-6)


def test_it_comes_back_from_a_file(photoz, tmp_path):
    data = sample(photoz.card.spec)
    photoz.save(tmp_path / "own.safetensors")
    again = PhotoZ.from_file(tmp_path / "own.safetensors")
    assert again.card.network == photoz.card.network
    np.testing.assert_array_equal(
        again.predict(data, ebv=0.02).probability,
        photoz.predict(data, ebv=0.02).probability,
    )


def test_it_is_refitted(photoz):
    rng = np.random.default_rng(4)
    features = rng.normal(0, 1, (400, WIDTH)).astype(np.float32)
    z = np.clip(0.5 + 0.15 * features[:, 0], 0.01, 0.99)
    new, report = photoz.refit(features, z, rng=1)
    assert report.accepted
    assert not torch.equal(
        new.network.last_layer.weight, photoz.network.last_layer.weight
    )
    state, before = new.network.state_dict(), photoz.network.state_dict()
    changed = [name for name in state if not torch.equal(state[name], before[name])]
    last = photoz.network.last_layer_name
    assert changed == [f"{last}.weight", f"{last}.bias"]
    # what makes the features is the same, so that statistics of them stay valid
    assert encoder_sha256(new.network) == encoder_sha256(photoz.network)


def test_its_bands_get_shares(photoz):
    data = sample(photoz.card.spec, n=4)
    table = shapley_values(photoz, data, groups="bands", value="z_median", ebv=0.02)
    names = table.meta["groups"]
    assert names == [band.replace(".", "_") for band in photoz.card.bands]
    total = sum(np.asarray(table[f"shapley_{name}"]) for name in names)
    np.testing.assert_allclose(total, table["v_all"] - table["v_none"], atol=1e-9)


def test_a_head_works_in_the_published_late_fusion():
    two, five = EncoderConfig(2, (1,), (8,)), EncoderConfig(5, (1,), (8,))
    config = LateFusionConfig(two, five, two, N_BINS, head=ResidualHeadConfig())
    network = build_network(config)
    assert network.encoder_names == ("model_galex", "model_ps", "model_unwise")
    assert network.head.first.in_features == 3 * 8 + 2
    assert "fc1.weight" not in network.state_dict()


def test_encoders_of_other_surveys_are_asked_once_for_each_state_of_their_bands():
    spec = two_surveys()
    config = SurveyFusionConfig.of(spec, MeanEncoderConfig, n_bins=N_BINS, hidden=4)
    network = build_network(config)
    counts = dict.fromkeys(network.encoder_names, 0)
    assert list(counts) == ["model_ps", "model_legacysurvey"]
    for name in counts:

        def count(*_, name=name):
            counts[name] += 1

        network.get_submodule(name).register_forward_pre_hook(count)
    prepared = spec.to_tensor(sample(spec, n=2), 0.02)
    assert len(list(iter_coalitions(network, prepared, np.eye(5, dtype=bool)))) == 32
    assert counts == {"model_ps": 8, "model_legacysurvey": 4}


def test_bands_of_a_survey_must_be_together():
    spec = images_of(("ps1.g", "legacysurvey.g", "ps1.r"), SurveyGrids)
    with pytest.raises(InputSpecError, match="each survey once, got ps1, legacysurvey"):
        SurveyFusionConfig.of(spec, MeanEncoderConfig, n_bins=N_BINS)


class NoLastLayer(nn.Module):
    pass


class TooFewBins(nn.Module):
    def __init__(self):
        super().__init__()
        self.last_layer = nn.Linear(4, 3)


class NoFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.last_layer = nn.Linear(4, N_BINS)


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (NoLastLayer, "linear layer with a bias as its attribute 'last_layer'"),
        (TooFewBins, "must give 8 numbers, one for each redshift bin, got 3"),
        (NoFeatures, "must have a method 'features', NoFeatures has none"),
    ],
)
def test_what_is_no_head_is_refused(head, match):
    class Config:
        def build(self, n_inputs, n_bins):
            return head()

    with pytest.raises(InputSpecError, match=match):
        build_network(PhotometricConfig(9, N_BINS, head=Config()))
