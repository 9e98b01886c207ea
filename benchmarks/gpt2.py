"""GPT-2's architecture in plain torch, with random weights, for benchmarks."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Attention and two linear layers, each behind a norm and beside a bypass."""

    def __init__(self, width, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        heads = (*x.shape[:2], self.n_heads, -1)
        q, k, v = (
            part.reshape(heads).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        hidden = functional.gelu(self.up(self.norm2(x)), approximate="tanh")
        return x + self.down(hidden)


class GPT2(nn.Module):
    """
    A classifier of texts: GPT-2 and a linear layer on its last token.

    By default the size of the smallest published one, 124 million parameters.
    """

    def __init__(
        self, *, vocabulary=50_257, length=1024, width=768, n_layers=12, n_heads=12
    ):
        super().__init__()
        self.words, self.places = (nn.Embedding(n, width) for n in (vocabulary, length))
        blocks = (Block(width, n_heads) for _ in range(n_layers))
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.score = nn.LayerNorm(width), nn.Linear(width, 2)

    def forward(self, ids):
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.words(ids) + self.places(places)
        return self.score(self.norm(self.blocks(x))[:, -1])
