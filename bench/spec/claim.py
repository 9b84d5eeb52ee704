"""What a claim is: a statement of a paper as comparisons of a table's cells."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from bench.spec.run import Frozen


class Order(Frozen):
    """Row `lower` scores below row `higher`, in `metric` and `columns`; None: the main metric; empty: all columns."""

    lower: str
    higher: str
    metric: str | None = None
    columns: tuple[str, ...] = ()


class Claim(Frozen):
    """A statement of the paper, in our words, as the orders that must all hold for it to be true.

    In YAML, a claim of one order may have the keys of the order itself in place of `orders`.
    """

    id: str
    text: str
    orders: tuple[Order, ...] = Field(min_length=1)

    def by_default(self, metric: str | None) -> Claim:
        """This claim with `metric` in those orders that name none."""
        orders = [order.model_copy(update={"metric": order.metric or metric}) for order in self.orders]
        return self.model_copy(update={"orders": tuple(orders)})

    @model_validator(mode="before")
    @classmethod
    def _one_order(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "orders" in value:
            return value
        order = {key: value[key] for key in Order.model_fields if key in value}
        rest = {key: item for key, item in value.items() if key not in order}
        return {**rest, "orders": [order]} if order else value
