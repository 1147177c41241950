"""Targets that the file system or a database keeps from being read: an error of that delivery, which the protocol knows."""

from pathlib import Path

import pytest

from spam_pipeline.protocol import Delivery
from spam_pipeline.reporting.errors import TargetUnreachable
from spam_pipeline.reporting.report_folder import report_delivery
from spam_pipeline.reporting.targets import reaching
from spam_pipeline.reporting.warehouse import warehouse_delivery
from spam_pipeline.reporting.widget_store import widget_delivery


@pytest.mark.parametrize("delivery", [warehouse_delivery, widget_delivery], ids=lambda delivery: delivery.target)
def test_a_folder_in_the_place_of_a_file_is_a_target_that_cannot_be_reached(tmp_path: Path, delivery: Delivery) -> None:
    with pytest.raises(TargetUnreachable, match="cannot be read or written"):
        delivery.delivered(str(tmp_path))


def test_a_folder_in_the_place_of_what_reports_remember_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "delivered.json").mkdir()
    with pytest.raises(TargetUnreachable, match="cannot be read or written"):
        report_delivery.delivered(str(tmp_path))


class ServerSilent(Exception):
    """An error of a driver, which is no error of the operating system."""


@pytest.mark.parametrize(("target", "raised"), [("s3://bucket/x", TargetUnreachable), ("/home/x", ServerSilent)])
def test_whatever_a_remote_file_system_raises_is_a_target_that_cannot_be_reached(
    target: str, raised: type[Exception]
) -> None:
    with pytest.raises(raised), reaching(target):
        raise ServerSilent
