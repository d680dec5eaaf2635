"""A model that scores some of the target's symbols only."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from seqcli.models.seq2seq import Seq2Seq, attentive_step
from seqcli.nn.hypotheses import to_hypotheses
from seqcli.nn.reduced import narrowed
from seqcli.types import Batch, State

LISTED = "shortlist"
"""What the memory calls what is added to the scores."""


class Shortlisted:
    """A model over the symbols `columns (U,)`, which it calls 0, 1, … in this order, for the sentences of one batch; `impossible (A,U)` is
    added to the scores of each: 0, or -inf for a symbol that is not on its own list, so that batch mates do not change what it can write.
    """

    def __init__(self, model: Seq2Seq, columns: Tensor, impossible: Tensor) -> None:
        self.model = model
        self.columns = columns
        self.impossible = impossible
        assert isinstance(model.output, nn.Linear), "the rules refuse a short list where there is no output layer"
        self.output = narrowed(model.output, columns)

    def start(self, batch: Batch) -> State:
        """Read the sources of the batch."""
        state = self.model.start(batch)
        return replace(state, memory={**state.memory, LISTED: self.impossible})

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """The last symbols (R,), as columns → the scores (R,U) of the next ones, and the state after them."""
        features, state = self.model.decoder(self.columns[ids][:, None], state)
        scores: Tensor = self.output(features[:, 0])
        return scores.add_(to_hypotheses(state.memory[LISTED], len(scores))), state

    def step_with_attention(self, ids: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """As `step`, and the attention (R,S) over the memory (see `Seq2Seq.step_with_attention`)."""
        return attentive_step(self.model, self.step, ids, state)

    def logits(self, batch: Batch) -> Tensor:
        """The scores (B,T,U) of the symbols at every label of a batch of theirs, under teacher forcing."""
        scores: Tensor = self.output(self.model(batch))
        return scores + self.impossible[:, None]
