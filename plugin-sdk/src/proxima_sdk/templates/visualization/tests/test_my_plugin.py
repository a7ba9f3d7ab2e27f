"""The conformance kit, and the heights of the bars."""

from xml.etree import ElementTree as ET

import pytest

from my_plugin.histogram import Histogram
from proxima.contracts.result import RunResult
from proxima_sdk.conformance import VisualizationConformance


class TestConformance(VisualizationConformance):
    visualization = "my-plugin"


def result(**counts: int) -> RunResult:
    return RunResult(backend="any", method="", precision="double", shots=sum(counts.values()), seed=0, counts=counts)


def drawn(subject: RunResult, tag: str, **options: object) -> list[ET.Element]:
    picture = Histogram().render(subject, "svg", options)
    return list(ET.fromstring(picture).iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def test_heights_are_in_proportion_to_the_counts() -> None:
    heights = [float(bar.attrib["height"]) for bar in drawn(result(b00=30, b11=10), "rect")]
    assert heights[0] == pytest.approx(3 * heights[1], abs=0.02)


def test_rare_bit_strings_are_left_out_and_counted() -> None:
    subject = result(b00=5, b01=3, b10=1, b11=2)
    assert len(drawn(subject, "rect", bars=2)) == 2
    assert any("2 rarer" in (text.text or "") for text in drawn(subject, "text", bars=2))
