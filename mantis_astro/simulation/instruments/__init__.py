"""
Surveys as instruments: PSF, noise, observing conditions and pixel grids.

A survey is one file, with one `register_instrument` call in it.
"""
