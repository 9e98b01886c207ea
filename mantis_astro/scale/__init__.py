"""
The same prediction over a catalogue of the whole sky, on many workers.

`predict_catalog` adds redshifts to a catalogue of LSDB, lazily, and `predict_parquet`
to a folder of Parquet files; both run on dask. `predict_file` shares the rows of one
table among processes of one machine, and needs no further package. The answers are
those of `PhotoZ.add_redshifts`, bit for bit.
"""

from mantis_astro.scale.catalogs import predict_catalog
from mantis_astro.scale.densities import frame_to_pdf, frame_to_qp
from mantis_astro.scale.model_reference import ModelReference
from mantis_astro.scale.parquet_folder import predict_parquet
from mantis_astro.scale.table_file import predict_file

__all__ = [
    "ModelReference",
    "frame_to_pdf",
    "frame_to_qp",
    "predict_catalog",
    "predict_file",
    "predict_parquet",
]
