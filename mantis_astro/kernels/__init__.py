"""Kernels of networks: conjugate and empirical tangent, and regression with them."""
