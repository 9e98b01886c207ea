"""Batches: drawing, making ahead of time, augmenting and preparing them."""
