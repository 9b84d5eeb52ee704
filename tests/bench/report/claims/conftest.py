"""Tables and scores whose truth is given, in place of those of runs."""

from dataclasses import dataclass, field

import pytest

from bench import seeds
from bench.report.claims.scores import Lack, Made, Place, Sample
from bench.report.claims.scores import Scores as RealScores
from bench.spec.claim import Claim


@dataclass
class Known:
    """Two tables, t/one and t/two, with the columns a, b, c, d at x = 1, 10, 100, 1000."""

    left_out: set = field(default_factory=set)

    def columns(self, table):
        return ["a", "b", "c", "d"]

    def rows(self, table):
        return ["base", "mine", "other"]

    def absent(self, table, row, column):
        return (row, column) in self.left_out

    def x(self, table, column):
        return {"a": 1.0, "b": 10.0, "c": 100.0, "d": 1000.0}[column]

    def better(self, table, metric):
        return "higher" if metric == "recall" else "lower"


class Scores(RealScores):
    """Log-normal scores over seeds around given means: {(table, row, column): mean}; what is not there has not run."""

    def __init__(self, means, n=3, sd=0.01, scale="mini", lacks=None):
        super().__init__(scale, lambda name: Lack(name))
        self.means, self.n, self.sd, self.lacks = means, n, sd, lacks or {}

    def sample(self, expression):
        if not isinstance(expression, Place):
            return super().sample(expression) if isinstance(expression, Made) else expression
        key = (expression.table, expression.row, expression.column)
        if key not in self.means:
            return self.lacks.get(key, Lack("no finished run", expression.row, unrun=True))
        stream = seeds.numpy_stream(0, "claims", *key, str(expression.snapshot), expression.of)
        mean = self.means[key]
        mean = mean[expression.snapshot] if isinstance(mean, dict) else mean
        noise = stream.normal(0, self.sd, self.n)
        values = {seed: mean * float(2.718281828**one) for seed, one in enumerate(noise)}
        return Sample(values, mean > 0, "FD", ("fd",))

    def steps(self, place):
        return sorted(self.means[place.table, place.row, place.column])


def make_claim(text="It is as it is.", **relation):
    return Claim.model_validate({"id": "c", "text": text, **relation})


@pytest.fixture
def known():
    return Known()


@pytest.fixture
def fake_scores():
    return Scores


@pytest.fixture
def claim():
    return make_claim
