"""Comparisons with a lowest or a highest are written out as comparisons without; they mean the same on any numbers."""

import pytest

from bench import seeds
from bench.errors import UserError
from bench.report.claims.expressions import Joint, Less, Made, Pick, Place, spelled_out
from bench.report.claims.questions import questions

A, B, C, D = (Place("t/one", row, "a", "fd") for row in "abcd")
LOWEST, HIGHEST = Pick("min", (A, B)), Pick("max", (A, B))


def value(expression, numbers):
    match expression:
        case Place():
            return numbers[expression.row]
        case Made(by, left, right):
            a, b = value(left, numbers), value(right, numbers)
            return a - b if by == "minus" else a / b
        case Pick(by, options):
            return (min if by == "min" else max)(value(one, numbers) for one in options)
        case _:
            return expression


def holds(statement, numbers):
    if isinstance(statement, Less):
        return value(statement.left, numbers) < value(statement.right, numbers)
    return sum(holds(part, numbers) for part in statement.parts) >= statement.at_least


@pytest.mark.parametrize(
    "test",
    [
        Less(LOWEST, C),
        Less(HIGHEST, C),
        Less(C, LOWEST),
        Less(C, HIGHEST),
        Less(LOWEST, Pick("max", (C, D))),
        Less(HIGHEST, Pick("min", (C, D))),
        Less(Made("minus", HIGHEST, LOWEST), Made("minus", C, HIGHEST)),
        Less(Made("over", D, LOWEST), Made("over", C, 2.0)),
        Less(Pick("min", (HIGHEST, C)), D),
    ],
    ids=str,
)
def test_written_out_it_means_the_same(test):
    spelled = spelled_out(test)
    assert isinstance(spelled, Joint)
    found = set()
    for numbers in seeds.numpy_stream(0, "expressions").uniform(1, 3, (500, 4)):
        named = dict(zip("abcd", numbers))
        assert holds(spelled, named) == holds(test, named)
        found.add(holds(test, named))
    assert found == {True, False}


def test_one_extreme_on_both_sides_is_refused(claim, known):
    twice = claim(order=[{"minus": [{"max": ["mine", "other"]}, "base"]}, {"max": ["mine", "other"]}])
    with pytest.raises(UserError, match="one min or max on both sides"):
        questions(twice, "t/one", known)
