"""The recipe's `training` and `evaluation` sections."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from seqcli.recipe.section import Count, MetricName, Probability, Section, Share


class AdamSection(Section):
    """Adam (Kingma & Ba 2015), with weight decay in the gradient (adam) or apart from it (adamw; Loshchilov & Hutter 2019)."""

    kind: Literal["adam", "adamw"]
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    """The highest learning rate; the schedule scales it."""
    betas: Annotated[list[Probability], Field(min_length=2, max_length=2)] = [0.9, 0.98]
    """How slowly the running means of the gradient and of its square forget."""
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-9
    """Added to the denominator."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Pull of the weights towards 0; biases, norms and embeddings are left alone."""


class MuonSection(Section):
    """Muon (Jordan et al. 2024) for the matrices between embeddings and output, AdamW for everything else."""

    kind: Literal["muon"]
    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    """The highest learning rate, of both: a step of Muon is made as long as AdamW's usual one (Liu et al. 2025); the schedule scales it."""
    momentum: Probability = 0.95
    """Share of a matrix's last direction that is carried on."""
    betas: Annotated[list[Probability], Field(min_length=2, max_length=2)] = [0.9, 0.98]
    """AdamW's: how slowly the running means of the gradient and of its square forget."""
    epsilon: Annotated[float, Field(gt=0.0)] = 1e-9
    """AdamW's: added to the denominator."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Pull of the weights towards 0; biases, norms and embeddings are left alone."""


class SgdSection(Section):
    """Stochastic gradient descent, with momentum if wanted."""

    kind: Literal["sgd"]
    learning_rate: Annotated[float, Field(gt=0.0)] = 1.0
    """The highest learning rate; the schedule scales it."""
    momentum: Probability = 0.0
    """Share of the last update that is carried on."""
    nesterov: bool = False
    """Look ahead along the momentum."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    """Pull of the weights towards 0; biases, norms and embeddings are left alone."""


Optimizer = Annotated[Union[AdamSection, MuonSection, SgdSection], Field(discriminator="kind")]


class ScheduleSection(Section):
    """What every schedule has."""

    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps in which the learning rate first rises linearly from 0."""


class ConstantSchedule(ScheduleSection):
    """The learning rate as it is."""

    kind: Literal["constant"]


class InverseSqrtSchedule(ScheduleSection):
    """Falls with 1/√step after the warm-up (Vaswani et al. 2017, §5.3)."""

    kind: Literal["inverse_sqrt"]
    warmup: Count = 4000
    """Steps in which the learning rate first rises linearly from 0."""


class DecaySchedule(ScheduleSection):
    """Falls to the share `final` of the learning rate at the last step: along a half cosine, or a straight line."""

    kind: Literal["cosine", "linear"]
    final: Share = 0.0
    """The share of the learning rate that is left at the end."""


class ExponentialSchedule(ScheduleSection):
    """Multiplied by `factor` every `every` steps."""

    kind: Literal["exponential"]
    factor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """What the learning rate is multiplied by."""
    every: Count = 1000
    """After how many steps."""
    hold: Annotated[int, Field(ge=0)] = 0
    """How many steps the learning rate stays the highest for before these are counted."""


class PlateauSchedule(ScheduleSection):
    """Multiplied by `factor` when the best validation score has not improved `patience` times in a row."""

    kind: Literal["plateau"]
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """What the learning rate is multiplied by."""
    patience: Annotated[int, Field(ge=0)] = 2
    """How many validations without improvement are let pass."""


Schedule = Annotated[
    Union[ConstantSchedule, InverseSqrtSchedule, DecaySchedule, ExponentialSchedule, PlateauSchedule],
    Field(discriminator="kind"),
]


class EarlyStopping(Section):
    """When to stop before the end."""

    patience: Count = 5
    """Stop when `best_metric` has not improved in so many validations."""


class Spikes(Section):
    """Which losses are told as spikes, and what is done about them. The median and its deviation are those of the last 100 steps."""

    threshold: Annotated[float, Field(gt=0.0)] = 10.0
    """How many median absolute deviations (of at least 0.1 nats a token each) above the median a loss must be."""
    rewind: Count | None = None
    """After so many in a row weights and optimizer go back to the last checkpoint, and training goes on with the data that follow;
    null means never."""


class ScheduledSampling(Section):
    """How a decoder is weaned from the given symbols (Bengio et al. 2015, §2.4): each is read with a probability ε that falls from step to step, and
    else one of the model's own, by a first pass that answers the given ones (Mihaylova & Martins 2019, §3)."""

    decay: Literal["linear", "exponential", "inverse_sigmoid"] = "inverse_sigmoid"
    """How ε falls: along a straight line, by the same share each step, or slowly at first and at the end."""
    half_after: Count = 5000
    """After how many steps ε is ½."""
    hold: Annotated[int, Field(ge=0)] = 0
    """How many steps read the given symbols alone before these are counted."""
    least: Probability = 0.0
    """What ε never falls below."""
    pick: Literal["sample", "best"] = "sample"
    """Which of its answers the model reads: one drawn from their distribution, or the most likely."""


class Curriculum(Section):
    """What is learnt first (Bengio et al. 2009)."""

    groups: Annotated[list[str], Field(min_length=1)]
    """The groups of examples, as data.columns.group or a builtin data set names them, that the first epochs are made of."""
    epochs: Count = 1
    """How many epochs see them alone; all that follow see everything."""


class Training(Section):
    """How the model learns."""

    steps: Count | None = None
    """How many optimizer steps; this or epochs."""
    epochs: Count | None = None
    """How many times through the training data; this or steps."""
    batch_tokens: Count | Literal["auto"] = 4096
    """How many symbols of the longer side a batch may have, padding counted; auto tries out how many fit into memory, up to 32,768 and
    to a hundredth of the data, and the run keeps the number."""
    batch_sentences: Count | None = None
    """How many examples a batch may have; null means no limit but batch_tokens."""
    share_images: Count | None = None
    """Put so many examples that look at the same image (its questions, its captions) into the same batch, where it is read once for all of
    them; null means that examples come in any order."""
    start_from: str | None = None
    """A run directory, to fine-tune: training starts from its weights, with its symbols, in place of weights drawn from the seed and symbols
    learnt from the data. The sections source, target and model must be its own, but for dropout and lengths."""
    curriculum: Curriculum | None = None
    """Which groups of examples the first epochs are made of; null means that every epoch sees everything."""
    accumulation: Count = 1
    """Batches whose gradients are added up for one step, weighted by their target symbols."""
    optimizer: Optimizer = AdamSection(kind="adamw")
    """What turns gradients into steps."""
    schedule: Schedule = ConstantSchedule(kind="constant")
    """How the learning rate changes over the steps."""
    label_smoothing: Probability = 0.0
    """Share of the probability that is spread over the whole vocabulary (Szegedy et al. 2016)."""
    r_drop: Annotated[float, Field(gt=0.0)] | None = None
    """R-Drop (Liang et al. 2021): each batch passes twice, with different dropout, and the two answers' divergence, so many times,
    is added to the loss of both; 5 in the paper's translations. null means one pass and no such thing."""
    unknown_rate: Probability = 0.0
    """Share of the training pairs in which a symbol that both sides have, drawn anew in each epoch, is the unknown one, wherever it stands: a model
    learns to write the unknown symbol for one that it has never seen, which search.unknown: copied puts back. 0 means none."""
    doubly_stochastic: Annotated[float, Field(ge=0.0)] | None = None
    """Doubly stochastic attention (Xu et al. 2015, eq. 14): what is minimised grows by so many times Σ_i (1 - Σ_t α_ti)² a sentence, so
    that over all steps each source position, or each cell of an image, is attended to about once. null means no such thing."""
    coverage_loss: Annotated[float, Field(ge=0.0)] | None = None
    """The coverage loss (See et al. 2017, eq. 12): what is minimised grows by so many times Σ_i min(a_ti, Σ_{t'<t} a_t'i) a step, so that what
    was attended to is not attended to again; 1 in the paper, with the attention's coverage: true. null means no such thing."""
    scheduled_sampling: ScheduledSampling | None = None
    """Scheduled sampling (Bengio et al. 2015) in two passes, for every decoder that reads what it has written. null means that all symbols
    are read as given."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """What matrix products are computed in; weights, norms, softmax and loss are float32 in any case, and so are validation and
    translation. bf16 pays on GPUs and CPUs that have it, fp16 on GPUs; elsewhere both are slower."""
    compile: bool = False
    """Compile the model's forward and backward pass (torch.compile), which needs a C++ compiler. Meant for long runs on GPUs: the first
    steps take minutes, and on a CPU all others are slower too. Results differ in their last digits."""
    sharding: Literal["none", "full"] = "none"
    """What each of several processes holds: all of the model (none), or a stripe of its weights, gradients and optimizer (full; FSDP,
    Zhao et al. 2023), for models that do not fit into one GPU. One process holds all in any case."""
    clip_norm: Annotated[float, Field(gt=0.0)] | None = 1.0
    """Gradients longer than this are shortened to it (Pascanu et al. 2013); null means never."""
    teacher_forcing: Share = 1.0
    """Recurrent decoders: the share of steps that read the given symbol; the others read the model's own last word."""
    validate_every: Count | None = None
    """Steps between validations; null means once an epoch."""
    checkpoint_every: Count = 1000
    """Steps between checkpoints."""
    keep_checkpoints: Count = 2
    """How many of the latest checkpoints stay on disk, so that one may be damaged; best and average are kept apart."""
    average: Count = 1
    """Average the weights of so many of the latest checkpoints at the end; 1 means no average."""
    moving_average: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Decay of an exponential moving average of the weights, which is what is validated and kept; 0.99 reaches back over about 100
    steps. null means the weights as they are."""
    best_metric: MetricName = "loss"
    """The validation score that names the best checkpoint, and that early stopping and plateau watch."""
    early_stopping: EarlyStopping | None = None
    """When to stop before the end; null means never."""
    spikes: Spikes | None = Spikes()
    """Steps whose loss is far above those before are counted and warned of; null means they are not."""
    log_every: Count = 50
    """Steps between records in metrics.jsonl."""
    gradient_norms: bool = False
    """Whether these records tell the length of the gradient, before clipping, of each part of the model too: of encoder.layers.0,
    decoder.embedding, output."""


class Evaluation(Section):
    """How the model is judged."""

    metrics: Annotated[list[MetricName], Field(min_length=1)] = ["loss", "perplexity", "bleu", "chrf"]
    """What is measured on the validation split, and by `seqcli eval`."""
    checkpoint: Literal["auto", "best", "last", "average"] = "auto"
    """Which weights `eval`, `translate` and `visualize` use; auto means average if there is one, else best, else last."""
    samples: Annotated[int, Field(ge=0)] = 3
    """How many validation examples, spread evenly, each validation also writes down with what the model makes of them: those it has
    translated for a metric of text, or else translated greedily."""
    bleu_tokenize: Literal["13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab"] = "13a"
    """sacrebleu's tokenizer for BLEU; none for text that is tokenised already."""
