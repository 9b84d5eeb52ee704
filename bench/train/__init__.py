"""Training: the Method base class that adapters extend, what its hooks are given, and the losses."""

from bench.contract.base import Auxiliary, Logged, Method, Sampler, Weights
from bench.contract.context import Augmentation, Batch, Context, DStep, GStep
from bench.train.losses import AdversarialLoss, adversarial_loss, weighted_mean

__all__ = [
    "AdversarialLoss",
    "Augmentation",
    "Auxiliary",
    "Batch",
    "Context",
    "DStep",
    "GStep",
    "Logged",
    "Method",
    "Sampler",
    "Weights",
    "adversarial_loss",
    "weighted_mean",
]
