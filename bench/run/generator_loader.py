"""Images from a generator that `bench export` wrote, a .pt or a .safetensors file; needs torch alone.

images, tensors = load("generator.safetensors")
pictures = images(tensors["latents"][:16])  # (16, 3, R, R) in [-1, 1]; images(latents, conditions) where it has some
"""

import json
from pathlib import Path
from typing import Any

import torch

TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "BOOL": "bool"}


def read(path: str | Path) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors by name, and the graph of torch's own operations that makes images of them."""
    if not str(path).endswith(".safetensors"):
        content = torch.load(path, map_location="cpu", weights_only=True)
        beside = {name: content[name] for name in ("latents", "conditions") if content[name] is not None}
        return {**content["state"], **content["tensors"], **beside}, content["graph"]
    data, tensors = bytearray(Path(path).read_bytes()), {}
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    graph = header.pop("__metadata__")["graph"]
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        part = data[start + first : start + end]
        tensors[name] = torch.frombuffer(part, dtype=getattr(torch, TYPES[entry["dtype"]])).reshape(entry["shape"])
    return tensors, graph


def load(path: str | Path, device: str = "cpu") -> tuple[Any, dict[str, torch.Tensor]]:
    """A function (latents, conditions=None, stream=None) -> images, whose noise is of the stream; and all tensors."""
    tensors, graph = read(path)
    return runner(tensors, graph, device), tensors


def runner(tensors: dict[str, torch.Tensor], text: str, device: str = "cpu") -> Any:
    """The function of a graph, a text in JSON."""
    graph, tensors = json.loads(text), {name: tensor.to(device) for name, tensor in tensors.items()}

    def images(latents: torch.Tensor, conditions: torch.Tensor | None = None, stream: Any = None) -> torch.Tensor:
        count, values = len(latents), {graph["latents"]: latents.to(device)}
        if conditions is not None:
            values[graph["conditions"]] = conditions.to(device)
        values |= {n: torch.randn(count, *shape, generator=stream).to(device) for n, shape in graph["noise"]}

        def filled(given: Any) -> Any:
            if isinstance(given, list):
                return [filled(each) for each in given]
            if not isinstance(given, dict):
                return given
            kind, what = next(iter(given.items()))
            if kind == "n":
                return what * count
            found: dict[str, Any] = {"value": values, "tensor": tensors, "device": {"": torch.device(device)}}
            return found[kind][what] if kind in found else getattr(torch, what)

        # One of torch's operations after the other; what no later one needs is let go
        for name, arguments, keywords, numbers, last in graph["nodes"]:
            operation, overload = name.split(".")
            call = getattr(getattr(torch.ops.aten, operation), overload)
            results = call(*filled(arguments), **{key: filled(value) for key, value in keywords.items()})
            values.update(zip(numbers, results) if isinstance(numbers, list) else [(numbers, results)])
            for number in last:
                del values[number]
        return values[graph["output"]]

    return torch.no_grad()(images)
