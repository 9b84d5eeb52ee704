"""A DiceBear style: avatars by seed and options, what an avatar shows, the style's licence."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any

from dicebear import Avatar, Style, ValidationError

from bench.errors import UserError, did_you_mean

from .packages import package_folder

PACKAGES = ("dicebear-core", "dicebear-styles", "resvg-py")  # their versions decide the pixels


class AvatarStyle:
    """A style of the package dicebear-styles; an avatar is a function of style, seed and options."""

    def __init__(self, name: str, definition: dict[str, Any]) -> None:
        self.name = name
        self._components: dict[str, dict[str, Any]] = definition["components"]
        self._colours = {"background", *definition["colors"]}
        self._style = Style(definition)
        licence = definition["meta"]["license"]
        self.licence_name: str = licence["name"]
        self.licence_text = f"{licence['name']}\n{licence['url']}\n{licence['text']}"

    def svg(self, seed: str, options: dict[str, Any]) -> str:
        """The drawing; options as DiceBear has them: COMPONENTVariant, COMPONENTProbability, PARTColor, rotate, ..."""
        return str(Avatar(self._style, {"seed": seed, **options}).to_string())

    def resolved(self, seed: str, options: dict[str, Any]) -> dict[str, Any]:
        """What DiceBear chose: COMPONENTVariant, absent where the component is not drawn, PARTColor, ..."""
        choices: dict[str, Any] = Avatar(self._style, {"seed": seed, **options}).to_json()["options"]
        return choices

    def variants(self, component: str, owner: str) -> list[str]:
        """The variants of a component, or of the one that it extends. UserError for an unknown component."""
        self._known(component, self._components, "component", owner)
        part = self._components[component]
        return self.variants(part["extends"], owner) if "extends" in part else list(part["variants"])

    def check(self, options: dict[str, Any], owner: str) -> None:
        """UserError, which names `owner`, for options that the style lacks; DiceBear passes over most of them."""
        for key, value in options.items():
            if key.endswith("Variant"):
                known = self.variants(key.removesuffix("Variant"), owner)
                for variant in [value] if isinstance(value, str) else value:
                    self._known(variant, known, key, owner)
            elif key.endswith("Probability"):
                self._known(key.removesuffix("Probability"), self._components, "component", owner)
            elif key.endswith("Color"):
                self._known(key.removesuffix("Color"), self._colours, "colour", owner)
        try:
            self.svg("", options)
        except ValidationError as error:
            raise UserError(f"{owner}: style '{self.name}' does not take {options}: {error}") from error

    def _known(self, name: str, known: Iterable[str], what: str, owner: str) -> None:
        if name not in known:
            raise UserError(f"{owner}: style '{self.name}' has no {what} '{name}'; {did_you_mean(name, known)}")


def avatar_style(name: str, owner: str) -> AvatarStyle:
    """The style of this name; UserError, which names `owner`, where there is none."""
    folder = package_folder("dicebear_styles", "dicebear-styles")
    known = {path.stem: path for path in folder.glob("*.json")}
    if name not in known:
        raise UserError(f"{owner}: unknown style '{name}'; {did_you_mean(name, known)}")
    return _read(name)


@functools.cache
def _read(name: str) -> AvatarStyle:
    """Kept, since the package takes half a second to check a definition."""
    path = package_folder("dicebear_styles", "dicebear-styles") / f"{name}.json"
    return AvatarStyle(name, json.loads(path.read_text("utf-8")))
