"""How far a statistic goes by chance: upper quantiles of Student's t, of chi-square and of F, each asked for again and again.

SciPy is imported where it is used: it takes a fifth of a second, and most commands judge nothing.
"""

from functools import lru_cache

_LEVELS_KEPT = 4096


@lru_cache(maxsize=_LEVELS_KEPT)
def student_t(chance: float, freedom: int) -> float:
    """What Student's t with so many degrees of freedom exceeds with this chance."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    return float(-stdtrit(freedom, chance))


@lru_cache(maxsize=_LEVELS_KEPT)
def chi_square(chance: float, freedom: int) -> float:
    """What chi-square with so many degrees of freedom exceeds with this chance."""
    from scipy.special import chdtri  # noqa: PLC0415 - see the module's docstring

    return float(chdtri(freedom, chance))


@lru_cache(maxsize=_LEVELS_KEPT)
def f_ratio(chance: float, freedom_above: int, freedom_below: int) -> float:
    """What F with so many degrees of freedom exceeds with this chance."""
    from scipy.special import fdtri  # noqa: PLC0415 - see the module's docstring

    return float(fdtri(freedom_above, freedom_below, 1.0 - chance))
