"""One device is one key, however its lines print its address."""

from __future__ import annotations

import pytest

from shared.addresses import device, folded
from shared.agent import builtin_agents
from shared.features import FeatureExtractor, windows
from tests.rows import row


@pytest.mark.parametrize(
    ("printed", "means"),
    [
        ("b8:27:eb:3c:27:cb", "b8:27:eb:3c:27:cb"),
        ("B8-27-EB-3C-27-CB", "b8:27:eb:3c:27:cb"),
        ("B8:27:EB:XX:XX:XX", "b8:27:eb:xx:xx:xx"),
        ("b8:27:eb:**:**:**", "b8:27:eb:**:**:**"),
        ("00:00:00:00:00:00", None),
        ("01:80:C2:00:00:03", None),
        ("alice@example.org", "alice@example.org"),
    ],
)
def test_an_address_has_one_form_and_some_name_nobody(printed: str, means: str | None) -> None:
    assert device(printed) == means


def test_other_fields_stay_as_they_are() -> None:
    fields = {"ssid": "AA-BB-CC-DD-EE-FF", "mac": "AA-BB-CC-DD-EE-FF", "kind": "ap"}
    assert folded(fields) == {**fields, "mac": "aa:bb:cc:dd:ee:ff"}
    assert folded({"bssid": "00:00:00:00:00:00", "reason_code": "3"}) == {"reason_code": "3"}


def test_one_device_written_in_three_ways_is_one_device_and_one_attempt() -> None:
    forms = ("02:AA:5E:10:00:01", "02-aa-5e-10-00-01", "02:aa:5e:10:00:01")
    rows = [row(10 + k, f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {form}") for k, form in enumerate(forms)]
    spec = builtin_agents()["wifi"]
    (window,) = windows(rows, FeatureExtractor(spec))
    values = dict(zip([feature.name for feature in spec.features], window.short, strict=True))
    assert (values["devices"], values["psk_attempts"]) == (1, 1)
