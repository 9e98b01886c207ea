"""
Priors for the samplers of other libraries.

One module for each library, imported by the method of `RedshiftPrior` that needs it.
"""

__all__ = []
