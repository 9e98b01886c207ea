"""
Kernels of networks: conjugate and empirical tangent, and regression with them.

Everything takes and returns tensors or arrays of samples, and knows no galaxy. A kernel
has a finite feature map; regression and classification happen there.
"""

from mantis_astro.kernels.base import Kernel, Linear, Product, Scaled, Sum
from mantis_astro.kernels.conjugate import ConjugateKernel
from mantis_astro.kernels.last_layer import LastLayer, LastLayerReport
from mantis_astro.kernels.linear import (
    KernelRegression,
    RidgePath,
    RidgeSolution,
    kernel_regression,
    ridge_path,
    ridge_regression,
    ridge_solutions,
)
from mantis_astro.kernels.logistic import (
    LogisticSolution,
    logistic_regression,
)
from mantis_astro.kernels.logistic_path import (
    LogisticPath,
    kernel_logistic_regression,
    logistic_path,
)
from mantis_astro.kernels.losses import (
    LossBounds,
    log_loss_bound,
    relative_loss_bounds,
    relative_test_loss,
    root_mean_square,
)
from mantis_astro.kernels.nystrom import Nystrom
from mantis_astro.kernels.outputs import ClassLogit, ClassMargin
from mantis_astro.kernels.pooling import last_token, mean_of_tokens
from mantis_astro.kernels.projection import ProjectedNTK
from mantis_astro.kernels.spectrum import EigenvalueDecay, eigenvalue_decay
from mantis_astro.kernels.streaming import StreamingRidge
from mantis_astro.kernels.tangent import EmpiricalNTK

__all__ = [
    "ClassLogit",
    "ClassMargin",
    "ConjugateKernel",
    "EigenvalueDecay",
    "EmpiricalNTK",
    "Kernel",
    "KernelRegression",
    "LastLayer",
    "LastLayerReport",
    "Linear",
    "LogisticPath",
    "LogisticSolution",
    "LossBounds",
    "Nystrom",
    "Product",
    "ProjectedNTK",
    "RidgePath",
    "RidgeSolution",
    "Scaled",
    "StreamingRidge",
    "Sum",
    "eigenvalue_decay",
    "kernel_logistic_regression",
    "kernel_regression",
    "last_token",
    "log_loss_bound",
    "logistic_path",
    "logistic_regression",
    "mean_of_tokens",
    "relative_loss_bounds",
    "relative_test_loss",
    "ridge_path",
    "ridge_regression",
    "ridge_solutions",
    "root_mean_square",
]
