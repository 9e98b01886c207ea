"""Train a network: configuration, data, losses and one loop."""
