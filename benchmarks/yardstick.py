"""What `make bench-train` measures seqcli against: careful plain PyTorch, as one writes it with torch's own modules.

The same sizes, tied tables, batches, dropout, loss and optimizer as the recipes in this folder; batches, vocabulary and data are
seqcli's own. Careful means: batch-first, fused Adam, packed sequences, no synchronisation that is not needed, keys projected once.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqcli.recipe.schema import Recipe
from seqcli.symbols import PAD
from seqcli.types import Batch


class PlainTransformer(nn.Module):
    """`nn.Transformer` between one table of embeddings and its transpose."""

    def __init__(self, recipe: Recipe, vocabulary: int) -> None:
        super().__init__()
        section, dropout = recipe.model.encoder, recipe.model.dropout
        self.width = section.hidden_size
        self.embedding = nn.Embedding(vocabulary, self.width)
        self.transformer = nn.Transformer(
            self.width,
            section.heads,
            section.layers,
            section.layers,
            section.feedforward_size,
            dropout,
            batch_first=True,
            norm_first=True,
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.width, vocabulary)
        self.output.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=self.width**-0.5)
        self.register_buffer("waves", _waves(512, self.width))

    def forward(self, batch: Batch) -> Tensor:
        """Logits (B,T,V)."""
        padding = ~batch.source_mask
        causal = nn.Transformer.generate_square_subsequent_mask(batch.inputs.shape[1])
        features = self.transformer(
            self.embed(batch.source),
            self.embed(batch.inputs),
            tgt_mask=causal,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        return self.output(features)

    def embed(self, ids: Tensor) -> Tensor:
        """(B,T) → (B,T,D)."""
        return self.dropout(self.embedding(ids) * math.sqrt(self.width) + self.waves[: ids.shape[1]])


def _waves(length: int, width: int) -> Tensor:
    angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)


class PlainRecurrent(nn.Module):
    """A bidirectional `nn.LSTM`, and an LSTM with additive attention: in one call in Luong's order, else step by step."""

    def __init__(self, recipe: Recipe, vocabulary: int) -> None:
        super().__init__()
        encoder, decoder, dropout = recipe.model.encoder, recipe.model.decoder, recipe.model.dropout
        hidden, memory = decoder.hidden_size, 2 * encoder.hidden_size
        self.order = "feeding" if decoder.input_feeding else decoder.order
        self.embedding = nn.Embedding(vocabulary, encoder.embedding_size)
        self.encoder = nn.LSTM(encoder.embedding_size, encoder.hidden_size, batch_first=True, bidirectional=True)
        self.bridge_hidden, self.bridge_cell = nn.Linear(memory, hidden), nn.Linear(memory, hidden)
        fed = {"luong": 0, "feeding": hidden, "bahdanau": memory}[self.order]
        cell = nn.LSTM if self.order == "luong" else nn.LSTMCell
        self.cell = cell(
            decoder.embedding_size + fed, hidden, **({"batch_first": True} if self.order == "luong" else {})
        )
        self.query, self.key = nn.Linear(hidden, hidden, bias=False), nn.Linear(memory, hidden)
        self.vector = nn.Linear(hidden, 1, bias=False)
        mixed = hidden + memory + (decoder.embedding_size if self.order == "bahdanau" else 0)
        self.mix = nn.Linear(mixed, hidden, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, batch: Batch) -> Tensor:
        """Logits (B,T,V)."""
        lengths = batch.source_mask.sum(dim=1)
        packed = pack_padded_sequence(
            self.dropout(self.embedding(batch.source)), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, (hidden, cell) = self.encoder(packed)
        states = self.dropout(pad_packed_sequence(outputs, batch_first=True)[0])
        hidden = torch.tanh(self.bridge_hidden(torch.cat((hidden[0], hidden[1]), dim=-1)))
        cell = self.bridge_cell(torch.cat((cell[0], cell[1]), dim=-1))
        keys = self.key(states)
        embedded = self.dropout(self.embedding(batch.inputs))
        if self.order == "luong":
            outputs, _ = self.cell(embedded, (hidden[None], cell[None]))
            context = self.attend(outputs, keys, states, batch.source_mask)
            return self.output(self.dropout(torch.tanh(self.mix(torch.cat((outputs, context), dim=-1)))))
        features, feature = [], hidden.new_zeros(hidden.shape)
        for symbol in embedded.unbind(dim=1):
            if self.order == "feeding":
                hidden, cell = self.cell(torch.cat((symbol, feature), dim=-1), (hidden, cell))
                context = self.attend(hidden[:, None], keys, states, batch.source_mask)[:, 0]
                mixed = torch.cat((hidden, context), dim=-1)
            else:
                context = self.attend(hidden[:, None], keys, states, batch.source_mask)[:, 0]
                hidden, cell = self.cell(torch.cat((symbol, context), dim=-1), (hidden, cell))
                mixed = torch.cat((hidden, context, symbol), dim=-1)
            feature = self.dropout(torch.tanh(self.mix(mixed)))
            features.append(feature)
        return self.output(torch.stack(features, dim=1))

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Additive attention (Bahdanau et al. 2015) of queries (B,T,Q): context (B,T,D)."""
        scores = self.vector(torch.tanh(self.query(query)[:, :, None] + keys[:, None])).squeeze(-1)
        return scores.masked_fill(~mask[:, None], float("-inf")).softmax(dim=-1) @ values


class Yardstick:
    """The model, its optimizer, and a training step."""

    def __init__(self, recipe: Recipe, vocabulary: int) -> None:
        torch.manual_seed(recipe.seed)
        plain = PlainTransformer if recipe.model.encoder.kind == "transformer" else PlainRecurrent
        self.model = plain(recipe, vocabulary)
        settings = recipe.training.optimizer
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=settings.learning_rate,
            betas=tuple(settings.betas),
            eps=settings.epsilon,
            fused=True,
        )
        self.smoothing, self.clip_norm = recipe.training.label_smoothing, recipe.training.clip_norm

    def step(self, batch: Batch) -> None:
        """One update."""
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.model(batch)
        loss = F.cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), ignore_index=PAD, label_smoothing=self.smoothing
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
