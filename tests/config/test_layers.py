"""Messages on wrong settings: source, line, key, value, and what was meant."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.config.resolving import refusal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "runners:\n  batching:\n    max_batch_sise: 5",
            "headway.yaml:3: runners.batching.max_batch_sise: unknown key; did you "
            "mean 'max_batch_size'?",
        ),
        (
            "runners:\n  max_batch_size: 5",
            "headway.yaml:2: runners.max_batch_size: unknown key; did you mean "
            "runners.batching.max_batch_size?",
        ),
        (
            "runners:\n  iris:\n    max_batch_size: 5",
            "headway.yaml:3: runners.iris.max_batch_size: unknown key; did you mean "
            "runners.iris.batching.max_batch_size?",
        ),
        (
            "batching:\n  enabled: true",
            "headway.yaml:1: batching: unknown key; did you mean runners.batching?",
        ),
        (
            "timeout: 5",
            "headway.yaml:1: timeout: unknown key; did you mean api_server.timeout or "
            "runners.timeout?",
        ),
        (
            "api_server:\n  http:\n    port: 80",
            "headway.yaml:2: api_server.http: unknown key; did you mean "
            "api_server.port?",
        ),
        (
            "runners:\n  traffic:\n    timeout: 80",
            "headway.yaml:2: runners.traffic: the service has no runner 'traffic'; it "
            "has credit.risk-model, iris; for every runner, set runners.timeout",
        ),
        (
            "runners:\n  iris:\n    traffic:\n      timeout: 80",
            "headway.yaml:3: runners.iris.traffic: unknown key; did you mean "
            "runners.iris.timeout?",
        ),
        (
            "api_server:\n  traffic:\n    timeout: 80",
            "headway.yaml:2: api_server.traffic: unknown key; did you mean "
            "api_server.timeout?",
        ),
        (
            "runners:\n  resources:\n    gpu: 1",
            "headway.yaml:3: runners.resources.gpu: unknown key; did you mean "
            "'nvidia.com/gpu'?",
        ),
        (
            "quux: 1",
            "headway.yaml:1: quux: unknown key; known here: api_server, logging, "
            "runners, tracing",
        ),
        (
            "runners:\n  iriss:\n    timeout: 5",
            "headway.yaml:2: runners.iriss: the service has no runner 'iriss'; did "
            "you mean 'iris'?",
        ),
        (
            "runners:\n  bacthing:\n    enabled: false",
            "headway.yaml:2: runners.bacthing: the service has no runner 'bacthing'; "
            "did you mean 'batching'?",
        ),
        (
            "runners:\n  zoo:\n    timeout: 5",
            "headway.yaml:2: runners.zoo: the service has no runner 'zoo'; it has "
            "credit.risk-model, iris; for every runner, set runners.timeout",
        ),
        (
            "runners:\n  zoo:",
            "headway.yaml:2: runners.zoo: the service has no runner 'zoo'; it has "
            "credit.risk-model, iris",
        ),
        (
            "runners:\n  iris:\n    methods:\n      predikt: {}",
            "headway.yaml:4: runners.iris.methods.predikt: the runner has no method "
            "'predikt'; did you mean 'predict'?",
        ),
        (
            "runners:\n  iris:\n    methods:\n      zoo: {}",
            "headway.yaml:4: runners.iris.methods.zoo: the runner has no method "
            "'zoo'; it has predict, predict_proba",
        ),
        (
            "runners:\n  methods:\n    predict: {}",
            "headway.yaml:2: runners.methods is possible for a single runner only, as "
            "in runners.NAME.methods",
        ),
        (
            "runners:\n  batching:\n    max_batch_size: 0",
            "headway.yaml:3: runners.batching.max_batch_size is 0: expected `int` >= 1",
        ),
        (
            "runners:\n  iris:\n    batching: {max_latency_ms: -1}",
            "headway.yaml:3: runners.iris.batching.max_latency_ms is -1: expected "
            "`float` > 0.0",
        ),
        (
            "api_server: {port: 70000}",
            "headway.yaml:1: api_server.port is 70000: expected `int` <= 65535",
        ),
        (
            "api_server: {port: true}",
            "headway.yaml:1: api_server.port is True: expected `int`, got `bool`",
        ),
        (
            "api_server: {port: [1]}",
            "headway.yaml:1: api_server.port is [1]: expected `int`, got `array`",
        ),
        (
            "api_server: {timeout: .nan}",
            "headway.yaml:1: api_server.timeout is nan: expected `float` > 0.0",
        ),
        (
            "api_server: {port: {a: 1}}",
            "headway.yaml:1: api_server.port is {'a': 1}: expected `int`, got `object`",
        ),
        (
            "api_server: 5",
            "headway.yaml:1: api_server is 5: expected a section with `key: value` "
            "lines below it",
        ),
        (
            "runners: {resources: {nvidia.com/gpu: [0, -1]}}",
            "headway.yaml:1: runners.resources.nvidia.com/gpu[1] is [0, -1]: expected "
            "`int` >= 0",
        ),
        (
            "logging: {level: loud}",
            "headway.yaml:1: logging.level is 'loud': expected debug or info or "
            "warning or error",
        ),
        (
            "api_server:\n  metrics:\n    duration_buckets_s: [1, 1]",
            "api_server.metrics.duration_buckets_s is (1.0, 1.0) (headway.yaml:3): "
            "the bounds must rise and be finite",
        ),
        (
            "api_server: {ssl_keyfile: a.pem}",
            "api_server.ssl_keyfile is 'a.pem' (headway.yaml:1), "
            "api_server.ssl_certfile is None (default): a key needs a certificate",
        ),
        (
            "runners:\n  batching: {max_latency_ms: 5}\n  iris:\n"
            "    batching: {max_wait_ms: 6}",
            "runners.iris.batching.max_wait_ms is 6.0 (headway.yaml:4), "
            "runners.iris.batching.max_latency_ms is 5.0 (headway.yaml:2): the wait "
            "must be within the latency",
        ),
        (
            "runners:\n  batching: {max_queue_rows: 99}",
            "runners.batching.max_queue_rows is 99 (headway.yaml:2), "
            "runners.batching.max_batch_size is 100 (default): a batch must fit in "
            "the queue",
        ),
        (
            "runners: {iris: {batching: {max_queue_rows: 100}, methods: {predict: "
            "{max_batch_size: 101}}}}",
            "runners.iris.batching.max_queue_rows is 100 (headway.yaml:1), "
            "runners.iris.methods.predict.max_batch_size is 101 (headway.yaml:1): a "
            "batch must fit in the queue",
        ),
        (
            "runners: {restart: {delay_s: 31}}",
            "runners.restart.delay_s is 31.0 (headway.yaml:1), "
            "runners.restart.max_delay_s is 30.0 (default): the first delay must be "
            "within the longest",
        ),
    ],
)
def test_message_on_wrong_file_settings(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refusal(tmp_path, text) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "HEADWAY_API_SERVER__PROT",
            "1",
            "$HEADWAY_API_SERVER__PROT: no such setting; did you mean "
            "$HEADWAY_API_SERVER__PORT?",
        ),
        (
            "HEADWAY_RUNNERS__IRYS__TIMEOUT",
            "1",
            "$HEADWAY_RUNNERS__IRYS__TIMEOUT: no such setting; did you mean "
            "$HEADWAY_RUNNERS__IRIS__TIMEOUT?",
        ),
        (
            "HEADWAY_API_SERVER__PORT",
            "many",
            "$HEADWAY_API_SERVER__PORT is 'many': expected `int`, got `str`",
        ),
        (
            "HEADWAY_API_SERVER__METRICS__DURATION_BUCKETS_S",
            "[1,",
            "$HEADWAY_API_SERVER__METRICS__DURATION_BUCKETS_S is '[1,': expected "
            "`array`, got `str`",
        ),
    ],
)
def test_message_on_wrong_variables(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    assert refusal(tmp_path, "", environ={name: value}) == message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"api_server.port": "70000"}, "--port is 70000: expected `int` <= 65535"),
        ({"api_server.workers": 0}, "--api-workers is 0: expected `int` >= 1"),
        (
            {"api_server.prot": "1"},
            "flag for api_server.prot: no such setting; did you mean 'port'?",
        ),
    ],
)
def test_message_on_wrong_flags(
    tmp_path: Path, flags: Mapping[str, object], message: str
) -> None:
    assert refusal(tmp_path, "", flags=flags) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"methods.predict.max_batch_size": 0},
            "to_runner() of runner 'iris': methods.predict.max_batch_size is 0: "
            "expected `int` >= 1",
        ),
        ({"max_batch": 1}, "runner 'iris': no setting is called max_batch"),
    ],
)
def test_message_on_wrong_code_options(
    tmp_path: Path, options: Mapping[str, object], message: str
) -> None:
    assert refusal(tmp_path, "", options={"iris": options}) == message


def test_runner_with_the_name_of_a_key_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "", runners={"batching": ["predict"]})
    assert message.startswith("runner name 'batching' is a key of")
