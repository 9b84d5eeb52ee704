"""A claim on the paper's own printed numbers: the same comparisons, of numbers without seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from scipy import stats

from bench.report.claims.expressions import (
    Expression,
    Joint,
    Less,
    Like,
    Made,
    Mean,
    Not,
    Pick,
    Place,
    Same,
    Slope,
    Statement,
    places,
)
from bench.report.claims.numbers import Numbers
from bench.report.claims.questions import Question
from bench.report.claims.result import Printed
from bench.report.claims.words import name


def by_print(questions: Sequence[Question], home: str, numbers: Numbers) -> Printed | None:
    """How many comparisons the printed numbers bear out; None where they allow none.

    A comparison without all of its numbers does not count; of a joint statement those parts do that have them.
    """
    reader = _Reader(home, numbers)
    answers = [(question, reader.holds(question.statement)) for question in questions]
    known = [(question, answer) for question, answer in answers if answer is not None]
    if not known:
        return None
    against = tuple(reader.told(question) for question, answer in known if not answer)
    return Printed(sum(answer for _, answer in known), len(known), against)


class _Reader:
    """Statements on printed numbers; None: a number is not printed."""

    def __init__(self, home: str, numbers: Numbers) -> None:
        self.home, self.numbers = home, numbers

    def holds(self, statement: Statement) -> bool | None:
        match statement:
            case Less(left, right):
                sides = self.value(left), self.value(right)
                return None if sides[0] is None or sides[1] is None else sides[0] < sides[1]
            case Like():
                return self._alike(statement)
            case Slope(points, direction):
                values = [value for _, point in points if (value := self.value(point)) is not None]
                steps = [(b - a) if direction == "increasing" else (a - b) for a, b in pairwise(values)]
                return None if not steps else min(steps) >= 0 and max(steps) > 0
            case Same(first, second):
                lists = [[self.value(one) for one in part] for part in (first, second)]
                return None if None in (*lists[0], *lists[1]) else float(stats.kendalltau(*lists).statistic) == 1
            case Mean(parts):
                gaps = [gap for part in parts if (gap := self._gap(part)) is not None]
                return sum(gaps) < 0 if gaps else None
            case Not(part):
                answer = self.holds(part)
                return None if answer is None else not answer
            case Joint(at_least, parts):
                answers = [answer for part in parts if (answer := self.holds(part)) is not None]
                # Parts that are not printed are left out: of all parts all that are printed must hold
                needed = len(answers) if at_least == len(parts) else at_least
                return sum(answers) >= needed if answers else None

    def value(self, expression: Expression) -> float | None:
        match expression:
            case float():
                return expression
            case Place():
                found = self.numbers.printed(expression)
                return found and found[0]
            case Made(by, left, right):
                a, b = self.value(left), self.value(right)
                if a is None or b is None:
                    return None
                return a - b if by == "minus" else a / b
            case Pick(by, options):
                values = [value for one in options if (value := self.value(one)) is not None]
                return (min if by == "min" else max)(values) if values else None

    def told(self, question: Question) -> str:
        """A comparison that fails, with its numbers: "recall, cifar10: disp-vgg16 0.64 against baseline 0.70"."""
        statement = question.statement
        if isinstance(statement, (Less, Like)):
            pinned = not statement.column
            sides = [f"{name(one, self.home, pinned)} {self._digits(one)}".removesuffix(" ")
                     for one in (statement.left, statement.right)]  # fmt: skip
            return f"{self._score(statement)}{statement.column and ', '}{statement.column}: {' against '.join(sides)}"
        if isinstance(statement, Joint) and statement.names:
            true = [one for one, part in zip(statement.names, statement.parts) if self._plain(part)]
            return f"true in {', '.join(true) or 'none'}"
        if isinstance(statement, Slope):
            return f"{question.about}: {', '.join(self._digits(point) for _, point in statement.points)}"
        return question.about

    def _plain(self, part: Statement) -> bool | None:
        """Whether the row is the best there, also where the claim says that it is not."""
        return self.holds(part.part if isinstance(part, Not) else part)

    def _alike(self, test: Like) -> bool | None:
        a, b = self.value(test.left), self.value(test.right)
        if a is None or b is None:
            return None
        return max(a, b) / min(a, b) <= 1 + test.within if test.by == "ratio" else abs(a - b) <= test.within

    def _gap(self, part: Less) -> float | None:
        a, b = self.value(part.left), self.value(part.right)
        return None if a is None or b is None else a - b

    def _digits(self, expression: Expression) -> str:
        """A number as it is printed, or as it comes out of printed ones; a constant is its own name."""
        if isinstance(expression, Place):
            found = self.numbers.printed(expression)
            return found[1] if found else "-"
        value = None if isinstance(expression, float) else self.value(expression)
        return "" if value is None else f"{value:.4g}"

    def _score(self, statement: Less | Like) -> str:
        return ", ".join(dict.fromkeys(self.numbers.score(place) for place in places(statement)))
