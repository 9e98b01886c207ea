"""Images of sources: in each survey's own pixels, or on a common grid."""
