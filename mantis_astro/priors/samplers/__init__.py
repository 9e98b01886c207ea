"""
A prior as the samplers of other libraries take it.

One module for each library, imported by the method of `RedshiftPrior` that needs it.
"""

__all__ = []
