"""Times in words."""

import pytest

from relay.model.times import rfc3339


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, None),
        (1604321252.472333, "2020-11-02T12:47:32.472Z"),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1e30, "1e+30"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_a_time_for_logs(at: float | None, text: str | None) -> None:
    """RFC 3339 in UTC; what is no time of the calendar never raises."""
    assert text == rfc3339(at)
