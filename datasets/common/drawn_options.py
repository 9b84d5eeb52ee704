"""What the options of a drawn set may say, and the subjects that they name.

One subject, without labels:    {style: critters, fixed: {topVariant: [earsRound]}}; `fixed` are options of DiceBear
A class for each variant:       {style: clay, each: {body: [pear, loaf]}}
Classes of several styles:      {classes: {critters: {}, bear: {style: critters, fixed: {topVariant: [earsRound]}}}}
Fine and coarse classes:        {classes: {critters: {each: {body: [dome, block]}}}} has critters/dome, critters/block
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.data.builder import Order
from bench.errors import RuleError, UserError
from bench.files.yamlfile import first_problem

from .avatar_style import AvatarStyle, avatar_style


class Model(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Look(Model):
    """A way to draw."""

    style: str | None = None
    fixed: dict[str, Any] = {}
    each: dict[str, list[str]] = Field(default={}, max_length=1, description="component -> variants, a class for each")


class Attribute(Model):
    """Something that half of the pictures have: the options with which it is drawn, and those with which it is not."""

    present: dict[str, Any]
    absent: dict[str, Any]


class Agreement(Model):
    """Two attributes that are equal (both there, or neither) in this share of the pictures; 0.5: independent."""

    of: tuple[str, str]
    share: float = Field(ge=0, le=1)


class Drawn(Look):
    """All options of a drawn set."""

    classes: dict[str, Look] = {}
    attributes: dict[str, Attribute] = {}
    agreement: Agreement | None = None
    kinds: dict[str, str] = Field(default={}, description="attribute -> component; its variant's number, 0 for none")

    @model_validator(mode="after")
    def _fits(self) -> Drawn:
        if bool(self.classes) == bool(self.style):
            raise RuleError("style", "a style or classes are needed, and not both")
        if self.classes and (self.fixed or self.each or self.kinds):
            raise RuleError("classes", "fixed, each and kinds go with a style, not with classes")
        if self.agreement and not set(self.agreement.of) <= self.attributes.keys():
            raise RuleError("agreement", f"{' and '.join(self.agreement.of)} must be attributes")
        return self


@dataclass(frozen=True)
class Subject:
    """What the pictures of one class show. `coarse` is the class of classes that it belongs to, "" for none."""

    name: str
    coarse: str
    style: AvatarStyle
    fixed: dict[str, Any]


def drawn_options(order: Order) -> Drawn:
    """The options of a set. UserError for what they may not be."""
    try:
        return Drawn.model_validate(order.entry.options)
    except ValidationError as error:
        keys, message = first_problem(Drawn, error)
        raise UserError(f"data set '{order.name}': options {'.'.join(map(str, keys))}: {message}") from error


def subjects(owner: str, options: Drawn) -> list[Subject]:
    """The classes of a set, in order; one of the name "" where it has no labels. UserError for unknown drawings."""
    looks = options.classes or {"": options}
    found = [subject for name, look in looks.items() for subject in _of_look(owner, name, look)]
    for attribute in options.attributes.values():
        for subject in found:
            subject.style.check({**subject.fixed, **attribute.present}, owner)
            subject.style.check({**subject.fixed, **attribute.absent}, owner)
    return found


def _of_look(owner: str, name: str, look: Look) -> list[Subject]:
    style = avatar_style(look.style or name, owner)
    style.check(look.fixed, owner)
    if not look.each:
        return [Subject(name, "", style, look.fixed)]
    ((component, variants),) = look.each.items()
    found = []
    for variant in variants:
        fixed = {**look.fixed, f"{component}Variant": [variant], f"{component}Probability": 100}
        style.check(fixed, owner)
        found.append(Subject(f"{name}/{variant}" if name else variant, name, style, fixed))
    return found
