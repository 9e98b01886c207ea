"""A made sky: galaxies, the images surveys would take, and servers that serve them."""
