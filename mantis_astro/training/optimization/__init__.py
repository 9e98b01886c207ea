"""Optimization: losses, schedule, first weights, and the tricks that save time."""
