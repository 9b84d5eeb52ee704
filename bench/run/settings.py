"""How a worker works a run off, and how that can end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Outcome = Literal["done", "diverged", "stopped", "failed", "cancelled", "stale"]


@dataclass(frozen=True)
class Settings:
    """How a worker works: nothing here can change a result."""

    device: torch.device
    checkpoint_seconds: float = 60.0
