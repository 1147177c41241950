"""Pictures of findings and comparisons: what they show, that they are small, and always the same."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

from spam_pipeline.pages.pictures import COLOURS, picture_of, picture_of_figures
from spam_pipeline.protocol import Clue, Curve, Evidence, Finding, Severity
from spam_pipeline.protocol.explanation.comparison.figures import compared
from spam_pipeline.protocol.fingerprint import Fingerprint, Histogram, Spreading
from spam_pipeline.protocol.operating import CategoryShift, ComparedPartition, Comparison

EVIDENCE = Evidence(
    (
        Clue("plays per listener", 31.2, 1.4, "attack"),
        Clue("effective networks", 3.1, 812, "attack"),
        Clue("other tracks per listener", 0, 0.8, "attack"),
        Clue("share just past 30 s", 0.93, 0.08, "attack"),
        Clue("new listeners", 812, 400, "release"),
        Clue("effective hours", 23.8, 20.1),
        *(Clue(f"another thing {number}", number, 5, "attack") for number in range(6)),
    ),
    (
        Curve("track", tuple(float(hour % 5) for hour in range(24))),
        Curve("others", tuple(float(hour) for hour in range(24))),
    ),
    ("track t1", "network 0a1b2c3d"),
)
MOVED = (CategoryShift("DE", 0.2, 0.31), CategoryShift("US", 0.4, 0.25), CategoryShift("null", 0.0, 0.0004))


def a_finding(
    about: str = "track t1", evidence: Evidence | None = EVIDENCE, moved: tuple[CategoryShift, ...] = ()
) -> Finding:
    return Finding("spike", about, Severity.REFUSE, "at most 40 plays", "812 plays", moved, 0.08, evidence)


def a_comparison(old: Fingerprint, new: Fingerprint) -> Comparison:
    return Comparison("plays", (ComparedPartition("2026-01-05", None, None, None),), compared(old, new), None, (), ())


def texts(svg: str) -> list[str]:
    drawn = ET.fromstring(svg)  # noqa: S314 - drawn here
    return ["".join(item.itertext()) for item in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_a_finding_without_evidence_and_moved_values_has_no_picture() -> None:
    assert not picture_of(a_finding(evidence=None))
    assert not picture_of(a_finding(evidence=Evidence(behind=("track t1",))))


def test_evidence_is_drawn_with_both_numbers_of_each_clue_in_the_colour_of_what_it_speaks_for() -> None:
    svg = picture_of(a_finding())
    words = texts(svg)
    assert {"plays per listener", "31.2, usual 1.4", "0.93, usual 0.08", "3.1, usual 812", "0, usual 0.8"} <= set(words)
    assert {"speaks for attack", "speaks for release", "track", "others", "12:00"} <= set(words)
    assert all(colour in svg for colour in COLOURS.values())


def test_moved_values_are_drawn_with_the_expected_share_and_the_one_seen() -> None:
    words = texts(picture_of(a_finding("countries", None, MOVED)))
    assert {"countries", "DE", "20.0%", "31.0%", "null", "<0.1%", "expected", "seen"} <= set(words)


def test_text_of_data_is_escaped_and_never_taken_for_a_formula() -> None:
    words = texts(picture_of(a_finding('</text><script>"&$x^2$', moved=(CategoryShift("<b> $y$", 0.1, 0.2),))))
    assert {'</text><script>"&$x^2$', "<b> $y$"} <= set(words)


def test_a_picture_is_small_and_always_the_same_in_any_thread() -> None:
    first = picture_of(a_finding(moved=MOVED))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: picture_of(a_finding(moved=MOVED)), range(8))) == {first}
    assert len(first) < 15_000
    assert "date" not in first.lower()


def test_clues_and_curves_of_nothing_are_drawn_too() -> None:
    nothing = Evidence((Clue("plays", 0, 0), Clue("more", 5, 0), Clue("less", -1, 3)), (Curve("none", (0.0,) * 24),))
    assert {"0, usual 0", "5, usual 0"} <= set(texts(picture_of(a_finding(evidence=nothing))))
    assert {"a", "0.0%"} <= set(texts(picture_of(a_finding(evidence=None, moved=(CategoryShift("a", 0.0, 0.0),)))))


def test_distributions_that_moved_are_drawn_the_farthest_first() -> None:
    old: Fingerprint = {
        "countries": Spreading({"DE": 500, "US": 500}),
        "hours": Spreading({"0": 10, "1": 10}),
        "seconds": Histogram(dict.fromkeys(range(60, 120), 20), 50, 5),
    }
    new: Fingerprint = {
        "countries": Spreading({"DE": 550, "US": 450}),
        "hours": Spreading({"0": 10, "1": 10}),
        "seconds": Histogram(dict.fromkeys(range(80, 140), 20), 50, 5),
    }
    svg = picture_of_figures(a_comparison(old, new))
    words = texts(svg)
    assert words.index("plays") >= 0
    assert [word for word in words if word.endswith("elsewhere")][1] == "countries: 5.0% elsewhere"
    assert {"old", "new", "DE", "55.0%"} <= set(words)
    assert len(svg) < 15_000
    assert not picture_of_figures(a_comparison(old, old))


def test_magnitudes_that_have_none_are_drawn_as_values() -> None:
    words = texts(picture_of_figures(a_comparison({"ms": Histogram({}, 9, 1)}, {"ms": Histogram({}, 1, 9)})))
    assert {"0", "null", "90.0%"} <= set(words)


def test_the_template_engine_is_not_loaded_before_something_is_drawn() -> None:
    command = (
        "import sys, spam_pipeline.pages.pictures, spam_pipeline.pages.comparison_page, spam_pipeline.pages.page_builder;"
        "assert 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", command], check=True)
