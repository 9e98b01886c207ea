"""Training data: tables, stores of cutouts, and the simulation."""
