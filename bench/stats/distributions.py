"""Student's t and chi-square, without what scipy.stats puts around them: claims and tables ask for thousands of values.

They are those of scipy.stats.t and scipy.stats.chi2, which call the same functions after a tenth of a millisecond of
checks.
"""

from __future__ import annotations

from scipy import special


def t_above(t: float, df: float) -> float:
    """P(T > t) with df > 0 degrees of freedom; df=inf is the normal distribution."""
    return float(special.stdtr(df, -t))


def t_point(probability: float, df: float) -> float:
    """The t that T stays below with a probability in (0, 1); df as in `t_above`."""
    return float(special.stdtrit(df, probability))


def chi2_below(x: float, df: float) -> float:
    """P(chi-square <= x) for x >= 0 with df > 0 degrees of freedom."""
    return float(special.chdtr(df, x))


def chi2_above(x: float, df: float) -> float:
    """P(chi-square > x); x and df as in `chi2_below`."""
    return float(special.chdtrc(df, x))


def chi2_point(probability: float, df: float) -> float:
    """The x that chi-square with df > 0 degrees of freedom stays below with a probability in (0, 1)."""
    return 2 * float(special.gammaincinv(df / 2, probability))
