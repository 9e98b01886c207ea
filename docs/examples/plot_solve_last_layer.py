"""
Solve the last layer of a language model
========================================

The recipe of Qadeer et al. 2023 (arXiv:2310.18612), for any ``torch.nn.Module``: train
a network for a while, freeze it, solve for its last layer exactly, and keep the
solution if it improves held-out data. Here the network is a small GPT-2 that classifies
sentences of the documentation of numpy and torch. The example needs no galaxies and no
download.
"""

# %%
# Texts
# -----
#
# The texts are sentences of the docstrings of both packages. Sentences of one page
# share words: they are one *group*, which splits keep together.

import inspect
import re
import zlib

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mantis_astro.kernels import LastLayer, mean_of_tokens

LENGTH, VOCABULARY = 16, 4096


def sentences(module):
    """Sentences of the pages of a module, and the page of each."""
    for name in sorted(vars(module)):
        text = inspect.getdoc(getattr(module, name)) or ""
        body = re.sub(r"\s+", " ", text.split("\n\n", 1)[-1])
        for sentence in re.split(r"(?<=[.:]) ", body)[:2]:
            words = re.findall(r"[a-z]+", sentence.lower())
            kept = [word for word in words if word not in ("numpy", "np", "torch")]
            if len(kept) > 5:
                yield kept[:LENGTH], f"{module.__name__}.{name}"


rows = [
    (words, page, label)
    for label, modules in enumerate(((np, np.ma, np.linalg), (torch, nn, functional)))
    for module in modules
    for words, page in sentences(module)
]
ids = torch.zeros(len(rows), LENGTH, dtype=torch.int64)
for row, (words, _, _) in zip(ids, rows, strict=True):
    codes = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words]
    row[: len(codes)] = torch.tensor(codes)
labels = torch.tensor([label for _, _, label in rows])
pages = np.unique([page for _, page, _ in rows], return_inverse=True)[1]
print(len(rows), "sentences of", pages.max() + 1, "pages")

# %%
# A small GPT-2
# -------------


class Block(nn.Module):
    def __init__(self, width, n_heads=4):
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
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class SmallGPT2(nn.Module):
    def __init__(self, width=64, n_layers=2):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)
        self.places = nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(n_layers)))
        self.norm, self.score = nn.LayerNorm(width), nn.Linear(width, 2)

    def forward(self, input_ids, attention_mask):
        x = self.words(input_ids) + self.places.weight
        x = self.norm(self.blocks(x))
        return self.score(mean_of_tokens(x, {"attention_mask": attention_mask}))


# %%
# A short training, and the last layer
# ------------------------------------
#
# A third of the pages is held out for tests. After each epoch the last layer is solved
# for, and compared with the trained one.

torch.manual_seed(0)
network = SmallGPT2()
optimizer = torch.optim.AdamW(network.parameters(), 3e-4)
test = np.random.default_rng(0).random(pages.max() + 1)[pages] < 1 / 3
train = torch.from_numpy(np.flatnonzero(~test))
data = {"input_ids": ids[~test], "attention_mask": (ids[~test] > 0).long()}
held_out = ids[test], (ids[test] > 0).long()


def loss_of(coef):
    """Log loss of the test with these weights of the last layer."""
    features = last.kernel.features(
        dict(zip(("input_ids", "attention_mask"), held_out, strict=True))
    )
    logits = features.double() @ torch.from_numpy(coef)
    return float(functional.cross_entropy(logits, labels[test]))


losses = []
for _ in range(4):
    network.train()
    for batch in train[torch.randperm(len(train))].split(64):
        optimizer.zero_grad()
        logits = network(ids[batch], (ids[batch] > 0).long())
        functional.cross_entropy(logits, labels[batch]).backward()
        optimizer.step()
    network.eval()
    last = LastLayer(network, "score")
    report = last.fit((data, labels[~test]), groups=pages[~test], rng=0)
    with torch.no_grad():
        trained = float(functional.cross_entropy(network(*held_out), labels[test]))
    losses.append((trained, loss_of(report.coef), report.accepted))
print(report)

# %%
# Only an accepted solution is written into the layer:

print(last.write())

# %%
# The conventional head and the recipe
# ------------------------------------

trained, solved, accepted = np.transpose(losses)
passes = np.arange(1, len(losses) + 1)
fig, ax = plt.subplots()
ax.plot(passes, trained, "o-", label="trained with the rest")
ax.plot(passes, solved, "s-", label="solved")
ax.plot(passes[accepted == 0], solved[accepted == 0], "kx", label="not accepted")
ax.set(xlabel="passes over the training sample", ylabel="log loss of the test")
ax.legend()
