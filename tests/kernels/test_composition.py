import pytest
import torch

from mantis_astro.kernels import ConjugateKernel, EmpiricalNTK, Linear, Nystrom

from .networks import multilayer, samples


def kernels():
    network = multilayer()
    conjugate = ConjugateKernel(network, "4")
    return {
        "linear": Linear(),
        "conjugate": conjugate,
        "tangent": EmpiricalNTK(network),
        "sum": conjugate + EmpiricalNTK(network),
        "product": conjugate * Linear(),
        "scaled": 2.5 * conjugate,
        "nystrom": Nystrom(conjugate, samples(5, 3, seed=9)),
    }


@pytest.mark.parametrize("name", kernels())
def test_gram_is_that_of_the_features_and_positive(name):
    kernel, x, y = kernels()[name], samples(8, 3), samples(5, 3, seed=2)
    gram = kernel.gram(x, y)
    torch.testing.assert_close(kernel.features(x) @ kernel.features(y).T, gram)
    torch.testing.assert_close(kernel.gram(x), kernel.gram(x, x))
    assert torch.linalg.eigvalsh(kernel.gram(x)).min() > -1e-10 * gram.abs().max()


def test_algebra():
    a, b, x = ConjugateKernel(multilayer(), "4"), Linear(), samples(6, 3)
    left = (a + b) * (2.0 * a)
    right = 2.0 * (a * a) + 2.0 * (a * b)
    torch.testing.assert_close(left.gram(x), right.gram(x))


def test_negative_scales_are_refused():
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        -1 * Linear()


def test_nonsense_is_refused():
    with pytest.raises(TypeError, match="unsupported operand"):
        Linear() + 1
    with pytest.raises(TypeError, match="multiply"):
        Linear() * "2"


def test_nystrom_is_exact_between_landmarks_and_below_elsewhere():
    kernel, x = EmpiricalNTK(multilayer()), samples(12, 3)
    few = Nystrom(kernel, x[:7])
    gram, exact = few.gram(x), kernel.gram(x)
    torch.testing.assert_close(gram[:7, :7], exact[:7, :7])
    assert torch.linalg.eigvalsh(exact - gram).min() > -1e-9 * exact.trace()


def test_nystrom_of_duplicated_landmarks():
    kernel, x = Linear(), samples(6, 3)
    few = Nystrom(kernel, torch.cat([x, x]))
    assert few.features(x).shape == (6, 4)  # the rank of 1 + x.y
    torch.testing.assert_close(few.gram(x), kernel.gram(x))
