"""Campaigns: from the redshifts of archives to models trained on the real sky."""

from mantis_astro.campaign.campaign import Campaign, IncompleteError
from mantis_astro.campaign.configuration import (
    CampaignConfig,
    CutoutsConfig,
    EvaluationConfig,
    RedshiftsConfig,
    SampleConfig,
    TestSample,
)

__all__ = [
    "Campaign",
    "CampaignConfig",
    "CutoutsConfig",
    "EvaluationConfig",
    "IncompleteError",
    "RedshiftsConfig",
    "SampleConfig",
    "TestSample",
]
