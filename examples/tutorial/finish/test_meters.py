import json

import meters
import pytest

pytestmark = pytest.mark.returns_memory


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    path = tmp_path_factory.mktemp("meters") / "day.txt"
    with open(path, "w") as file:
        for minute in range(1_440):
            readings = [round(minute / 7 + meter / 9, 3) for meter in range(500)]
            file.write(json.dumps(readings) + "\n")
    return path


def test_totals(day):
    assert len(meters.totals(day)) == 500


def test_busiest(day):
    assert meters.busiest(day)[0] == pytest.approx(1_439 / 7, abs=0.001)
