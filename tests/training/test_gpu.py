"""On a GPU the course is that of the CPU, to rounding."""

import numpy as np
import pytest
import torch

from mantis_astro.training import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize(("amp", "rtol"), [("none", 1e-3), ("bf16", 1e-3)])
def test_it_trains_as_on_the_cpu(toy, tmp_path, amp, rtol):
    results = [
        train(
            toy.config(amp=amp),
            tmp_path / device,
            data=toy.data(),
            progress=False,
            device=device,
        )
        for device in ("cpu", "cuda")
    ]
    losses = [result.history["loss"] for result in results]
    np.testing.assert_allclose(*losses, rtol=rtol)
    assert next(results[1].photoz.network.parameters()).device.type == "cpu"


def test_a_training_resumes_on_a_gpu(toy, tmp_path):
    first = train(
        toy.config(), tmp_path, data=toy.data(), progress=False, device="cuda"
    )
    again = train(
        toy.config(), tmp_path, data=toy.data(), progress=False, device="cuda"
    )
    assert again.metrics == first.metrics
