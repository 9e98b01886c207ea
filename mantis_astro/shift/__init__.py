"""Does my sample look like the training set? Reports, scores and weights."""
