"""A small campaign on the real sky, as far as the images; once a week."""

import pytest

from mantis_astro.campaign import Campaign, CampaignConfig
from mantis_astro.tables import read_table


@pytest.mark.remote_data
def test_redshifts_and_images_of_the_real_sky(tmp_path):
    config = CampaignConfig.from_plain(
        {
            "redshifts": {"surveys": ["sdss"], "area": [[180, 181, 0, 1]]},
            "sample": {"n_max": 5, "dust_maps": []},
        }
    )
    campaign = Campaign(tmp_path / "campaign", config, progress=False)
    campaign.run(until="cutouts")
    assert len(read_table(campaign.folder / "sample.fits")) == 5
