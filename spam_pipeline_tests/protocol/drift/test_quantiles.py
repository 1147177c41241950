import subprocess
import sys

import pytest
from scipy import stats

from spam_pipeline.protocol.drift.quantiles import chi_square, f_ratio, student_t


@pytest.mark.parametrize("chance", [0.05, 1e-5])
@pytest.mark.parametrize("freedom", [2, 27])
def test_quantiles_are_exceeded_with_the_chance_asked_for(chance: float, freedom: int) -> None:
    assert stats.t.sf(student_t(chance, freedom), freedom) == pytest.approx(chance)
    assert stats.chi2.sf(chi_square(chance, freedom), freedom) == pytest.approx(chance)
    assert stats.f.sf(f_ratio(chance, freedom, 20), freedom, 20) == pytest.approx(chance)


def test_whoever_judges_nothing_does_not_import_scipy() -> None:
    code = "import sys, spam_pipeline.protocol.drift; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
