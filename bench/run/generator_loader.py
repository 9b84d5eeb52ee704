"""Images from a generator that `bench export` wrote, a .pt or a .safetensors file; needs torch alone.

make, tensors = load("generator.safetensors")
pictures = make(tensors["latents"][:16])  # (16, 3, R, R) in [-1, 1]; make(latents, conditions) where it has some
"""

import json
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "BOOL": "bool"}


def load(path: str | Path, device: str = "cpu") -> tuple[partial[Tensor], dict[str, Tensor]]:
    """A function (latents[, conditions], stream=None) -> images, whose noise is of the stream; and all tensors."""
    if not str(path).endswith(".safetensors"):
        content = torch.load(path, map_location=device, weights_only=True)
        return partial(images, content["tensors"], content["graph"]), content["tensors"]
    data, tensors = bytearray(Path(path).read_bytes()), {}
    start = 8 + int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8:start]), data[start:]
    graph = header.pop("__metadata__")["graph"]
    for name, entry in header.items():
        flat = torch.frombuffer(body[slice(*entry["data_offsets"])], dtype=getattr(torch, TYPES[entry["dtype"]]))
        tensors[name] = flat.reshape(entry["shape"]).to(device)
    return partial(images, tensors, graph), tensors


@torch.no_grad()
def images(tensors: dict[str, Tensor], graph: str, *given: Tensor, stream: Generator | None = None) -> Tensor:
    """What a graph makes of latents and conditions: a line of it is [operation, arguments, keywords, results]."""
    more = {"conditions": None, **dict(zip(("latents", "conditions"), given)), "stream": stream}
    values: dict[Any, Any] = {**tensors, **more, "device": given[0].device}
    # What stands in a line as {kind: what}; a result takes the place of one that no later line needs
    kinds: Any = {"value": values.__getitem__, "torch": vars(torch).__getitem__, "times": len(given[0]).__mul__}
    for line in graph.splitlines():
        name, arguments, keywords, places = json.loads(line, object_hook=lambda g: next(kinds[k](g[k]) for k in g))
        results = attrgetter(name)(torch.ops.aten)(*arguments, **dict(keywords))
        values.update(zip(places, results if isinstance(results, (list, tuple)) else [results]))
    return values["images"]
