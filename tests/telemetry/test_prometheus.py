"""The Prometheus adapter: what is recorded can be scraped, by one process or by several."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tradesense.adapters.prometheus.settings import PrometheusSettings
from tradesense.adapters.prometheus.telemetry import PrometheusTelemetry, metric_name
from tradesense.core.errors import ConfigurationError
from tradesense.core.telemetry.instruments import ALL, HTTP_ACTIVE_REQUESTS, HTTP_REQUEST_DURATION, LOGINS
from tradesense.core.telemetry.models import Instrument, Kind, TraceContext

GAUGE = Instrument(name="test.depth", kind=Kind.GAUGE, description="d", unit="By", labels=("queue",))
BUCKETS = Instrument(name="test.size", kind=Kind.HISTOGRAM, description="d", buckets=(1.0, 2.0))


def samples(telemetry):
    _, body = telemetry.scrape()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_names_follow_prometheus_conventions():
    assert metric_name(HTTP_REQUEST_DURATION) == "http_server_request_duration_seconds"
    assert metric_name(GAUGE) == "test_depth_bytes"
    assert metric_name(LOGINS) == "tradesense_identity_logins"


def test_the_values_add_up():
    telemetry = PrometheusTelemetry(PrometheusSettings())
    telemetry.bind(LOGINS, ("succeeded",))(1)
    telemetry.bind(LOGINS, ("succeeded",))(2)
    telemetry.bind(GAUGE, ("a",))(5)
    telemetry.bind(GAUGE, ("a",))(4)
    for value in (0.5, 1.0, 1.5, 99):
        telemetry.bind(BUCKETS)(value)
    found = samples(telemetry)
    assert found["tradesense_identity_logins_total", (("outcome", "succeeded"),)] == 3
    assert found["test_depth_bytes", (("queue", "a"),)] == 4
    assert found["test_size_bucket", (("le", "1.0"),)] == 2
    assert found["test_size_bucket", (("le", "2.0"),)] == 3
    assert found["test_size_bucket", (("le", "+Inf"),)] == 4
    assert found["test_size_sum", ()] == 102


def test_binding_the_same_again_gives_the_same_function():
    telemetry = PrometheusTelemetry(PrometheusSettings())
    assert telemetry.bind(LOGINS, ("x",)) is telemetry.bind(LOGINS, ("x",))


def test_every_instrument_of_the_platform_can_be_bound():
    telemetry = PrometheusTelemetry(PrometheusSettings())
    for instrument in ALL:
        telemetry.bind(instrument, tuple("x" for _ in instrument.labels))(1)
    kind, body = telemetry.scrape()
    assert kind.startswith("text/plain")
    assert len(list(text_string_to_metric_families(body.decode()))) >= len(ALL)


def test_what_does_not_fit_is_not_raised_about():
    telemetry = PrometheusTelemetry(PrometheusSettings())
    telemetry.bind(LOGINS)(1)
    telemetry.bind(LOGINS, ("a", "b"))(1)
    telemetry.bind(LOGINS, ("a",))(-1)
    with telemetry.span("x", TraceContext("1" * 32, "1" * 16, True)) as span:
        span.set("a", 1)
    telemetry.event("e", {})
    assert samples(telemetry)["tradesense_identity_logins_total", (("outcome", "a"),)] == 1


def test_two_adapters_in_one_process_do_not_mix():
    one, two = PrometheusTelemetry(PrometheusSettings()), PrometheusTelemetry(PrometheusSettings())
    one.bind(LOGINS, ("x",))(1)
    two.bind(LOGINS, ("x",))(5)
    assert samples(one)["tradesense_identity_logins_total", (("outcome", "x"),)] == 1


COUNT = """
import asyncio, sys
from tradesense.adapters.prometheus.settings import PrometheusSettings
from tradesense.adapters.prometheus.telemetry import PrometheusTelemetry
from tradesense.core.telemetry.instruments import HTTP_ACTIVE_REQUESTS, JOB_DURATION, LOGINS

async def run(folder, value):
    async with PrometheusTelemetry(PrometheusSettings(multiprocess_dir=folder)) as telemetry:
        telemetry.bind(LOGINS, ("x",))(value)
        telemetry.bind(JOB_DURATION, ("a", "b"))(value)
        telemetry.bind(HTTP_ACTIVE_REQUESTS)(value)

asyncio.run(run(sys.argv[1], int(sys.argv[2])))
"""


async def test_processes_that_share_a_folder_are_scraped_as_one(tmp_path):
    folder = str(tmp_path / "metrics")
    for value in ("1", "2"):
        command = [sys.executable, "-c", COUNT, folder, value]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)
    async with PrometheusTelemetry(PrometheusSettings(multiprocess_dir=folder)) as telemetry:
        telemetry.bind(LOGINS, ("x",))(4)
        telemetry.bind(HTTP_ACTIVE_REQUESTS)(7)
        found = samples(telemetry)
    assert found["tradesense_identity_logins_total", (("outcome", "x"),)] == 7
    assert found["tradesense_job_duration_seconds_count", (("job", "a"), ("outcome", "b"))] == 2
    assert found["http_server_active_requests", ()] == 7, "what a process that has ended had open is not counted"


async def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        async with PrometheusTelemetry(PrometheusSettings(multiprocess_dir=str(tmp_path / "file" / "x"))):
            pass
