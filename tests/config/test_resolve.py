"""Which value holds, where it came from, and what is refused with which message."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headway.config.resolve import resolve
from headway.config.resolved import ResolvedConfig
from headway.config.schema import BatchingConfig, HeadwayConfig
from headway.errors import ConfigError

RUNNERS = {"iris": ["predict", "predict_proba"], "credit.risk-model": ["predict"]}


def resolve_text(
    tmp_path: Path,
    text: str,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    runners: Mapping[str, list[str]] | None = RUNNERS,
) -> ResolvedConfig:
    """Resolve with `text` as the service's headway.yaml."""
    (tmp_path / "headway.yaml").write_text(text, encoding="utf-8")
    return resolve(
        service_dir=tmp_path,
        environ=environ or {},
        flags=flags,
        runner_options=options,
        runner_methods=runners,
    )


def refusal(tmp_path: Path, text: str, **options: Any) -> str:
    """Return the message, without the directory, of what is refused."""
    with pytest.raises(ConfigError) as caught:
        resolve_text(tmp_path, text, **options)
    assert "\n" not in caught.value.message
    return caught.value.message.replace(f"{tmp_path}/", "")


def test_nothing_given_is_the_defaults() -> None:
    resolved = resolve(environ={})
    assert resolved.config == HeadwayConfig()
    assert resolved.runner("any") == HeadwayConfig().runners
    assert set(resolved.sources.values()) == {"default"}
    assert resolved.file is None


def test_the_example_of_the_course(tmp_path: Path) -> None:
    resolved = resolve_text(
        tmp_path,
        "runners:\n  batching:\n    enabled: true\n    max_batch_size: 100\n"
        "    max_latency_ms: 500\n",
    )
    assert resolved.runner("iris").batching == BatchingConfig(max_latency_ms=500.0)
    source = resolved.sources["runners.iris.batching.max_latency_ms"]
    assert source == f"{tmp_path / 'headway.yaml'}:5"


# From low to high; each gives its own value.
SOURCES = ["default", "general", "code", "runner", "environ", "environ-runner"]


@pytest.mark.parametrize("highest", range(len(SOURCES)), ids=SOURCES)
def test_a_runners_value_is_the_highest_sources(tmp_path: Path, highest: int) -> None:
    text = "runners:\n  timeout: 33\n"
    if highest >= 1:
        text += "  batching:\n    max_batch_size: 1\n"
    if highest >= 3:
        text += "  iris:\n    batching:\n      max_batch_size: 3\n"
    environ = {}
    if highest >= 4:
        environ["HEADWAY_RUNNERS__BATCHING__MAX_BATCH_SIZE"] = "4"
    if highest >= 5:
        environ["HEADWAY_RUNNERS__IRIS__BATCHING__MAX_BATCH_SIZE"] = "5"
    resolved = resolve_text(
        tmp_path,
        text,
        environ=environ,
        options={"iris": {"batching.max_batch_size": 2 if highest >= 2 else None}},
    )
    assert resolved.runner("iris").batching.max_batch_size == highest or highest == 0
    if highest == 0:
        assert resolved.runner("iris").batching.max_batch_size == 100
    assert resolved.runner("iris").timeout == 33.0
    source = resolved.sources["runners.iris.batching.max_batch_size"]
    expected = [
        "default",
        f"{tmp_path}/headway.yaml:4",
        "code",
        f"{tmp_path}/headway.yaml:7",
        "$HEADWAY_RUNNERS__BATCHING__MAX_BATCH_SIZE",
        "$HEADWAY_RUNNERS__IRIS__BATCHING__MAX_BATCH_SIZE",
    ]
    assert source == expected[highest]


def test_flags_are_over_the_environment_and_the_file(tmp_path: Path) -> None:
    environ = {"HEADWAY_API_SERVER__PORT": "4000", "HEADWAY_API_SERVER__HOST": "::1"}
    resolved = resolve_text(
        tmp_path,
        "api_server:\n  port: 1\n  host: a\n  backlog: 5\n",
        environ=environ,
        flags={"api_server.port": "5000", "api_server.host": None},
    )
    server = resolved.config.api_server
    assert (server.port, server.host, server.backlog) == (5000, "::1", 5)
    assert resolved.sources["api_server.port"] == "--port"
    assert resolved.sources["api_server.host"] == "$HEADWAY_API_SERVER__HOST"


@pytest.mark.parametrize(
    ("text", "batch_size"),
    [
        pytest.param("", 2, id="code"),
        pytest.param("runners: {batching: {max_batch_size: 9}}", 2, id="general"),
        pytest.param("runners: {iris: {batching: {max_batch_size: 9}}}", 9, id="own"),
        pytest.param(
            "runners: {iris: {batching: {max_batch_size: 9}, "
            "methods: {predict: {max_batch_size: 3}}}}",
            3,
            id="method",
        ),
        pytest.param(
            "runners: {iris: {methods: {predict: {max_batch_size: null}}}}",
            100,
            id="null",
        ),
    ],
)
def test_a_methods_value_yields_to_higher_sources(
    tmp_path: Path, text: str, batch_size: int
) -> None:
    resolved = resolve_text(
        tmp_path, text, options={"iris": {"methods.predict.max_batch_size": 2}}
    )
    batching = resolved.runner("iris").batching_of("predict")
    assert batching.max_batch_size == batch_size


def test_a_method_keeps_what_it_does_not_set(tmp_path: Path) -> None:
    resolved = resolve_text(
        tmp_path,
        "runners: {iris: {batching: {enabled: false}, methods: {predict: "
        "{max_latency_ms: 7}}}}",
    )
    iris = resolved.runner("iris")
    assert iris.batching_of("predict") == BatchingConfig(
        enabled=False, max_latency_ms=7.0
    )
    assert iris.batching_of("predict_proba") == BatchingConfig(enabled=False)


def test_a_runner_without_a_section_has_the_general_values(tmp_path: Path) -> None:
    resolved = resolve_text(
        tmp_path, "runners: {timeout: 1, iris: {resources: {cpu: 2}}}"
    )
    other = resolved.runner("credit.risk-model")
    assert (other.timeout, other.resources.cpu) == (1.0, None)
    assert resolved.runner("iris").timeout == 1.0
    assert resolved.runner("iris").resources.cpu == 2.0


@pytest.mark.parametrize(
    ("text", "gpu"), [("2", 2), ("[0, 3]", [0, 3]), ("[GPU-8f2a, 1]", ["GPU-8f2a", 1])]
)
def test_gpus_are_a_count_or_ids(
    tmp_path: Path, text: str, gpu: int | list[int | str]
) -> None:
    in_file = resolve_text(
        tmp_path, f"runners: {{resources: {{nvidia.com/gpu: {text}}}}}"
    )
    assert in_file.config.runners.resources.gpu == gpu
    in_environ = resolve_text(
        tmp_path,
        "",
        environ={"HEADWAY_RUNNERS__IRIS__RESOURCES__NVIDIA_COM_GPU": text},
    )
    assert in_environ.runner("iris").resources.gpu == gpu


def test_resources_null_is_nothing_for_this_runner(tmp_path: Path) -> None:
    resolved = resolve_text(
        tmp_path, "runners:\n  resources: {cpu: 2}\n  iris:\n    resources: null\n"
    )
    assert resolved.config.runners.resources.cpu == 2.0
    assert resolved.runner("iris").resources.cpu is None


def test_empty_sections_give_nothing(tmp_path: Path) -> None:
    text = "api_server:\nrunners:\n  batching:\n  iris:\n    methods:\n      predict:\n"
    assert resolve_text(tmp_path, text).config == HeadwayConfig()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TIMEOUT", "null", None),
        ("TIMEOUT", "1e0", 1.0),
        ("TIMEOUT", "", 60.0),
        ("HOST", "127.0.0.1", "127.0.0.1"),
        ("HOST", "123", "123"),
        ("SSL_CERTFILE", "null", None),
        ("MAX_CONCURRENCY", "5", 5),
    ],
)
def test_environment_values_are_read_as_their_type(
    name: str, value: str, expected: object
) -> None:
    resolved = resolve(environ={f"HEADWAY_API_SERVER__{name}": value})
    assert getattr(resolved.config.api_server, name.lower()) == expected


def test_names_reach_runners_through_the_environment() -> None:
    resolved = resolve(
        environ={
            "HEADWAY_RUNNERS__CREDIT_RISK_MODEL__TIMEOUT": "2",
            "HEADWAY_RUNNERS__IRIS__METHODS__PREDICT__MAX_BATCH_SIZE": "8",
            "HEADWAY_API_SERVER_PORT": "tcp://10.0.0.1:3000",
            "HEADWAY_HOME": "/models",
        },
        runner_methods=RUNNERS,
    )
    assert resolved.runner("credit.risk-model").timeout == 2.0
    assert resolved.runner("iris").timeout == 60.0
    assert resolved.runner("iris").batching_of("predict").max_batch_size == 8


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
            "has credit.risk-model, iris",
        ),
        (
            "runners:\n  resources:\n    gpu: 1",
            "headway.yaml:3: runners.resources.gpu: unknown key; did you mean "
            "'nvidia.com/gpu'?",
        ),
        (
            "quux: 1",
            "headway.yaml:1: quux: unknown key; known here: api_server, logging, "
            "runners",
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
def test_what_the_file_gets_wrong_is_named(
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
def test_what_the_environment_gets_wrong_is_named(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    assert refusal(tmp_path, "", environ={name: value}) == message


def test_a_variable_of_an_unknown_runner_may_be_right() -> None:
    environ = {"HEADWAY_RUNNERS__OTHER__TIMEOUT": "1"}
    assert resolve(environ=environ).config == HeadwayConfig()


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
def test_what_the_command_line_gets_wrong_is_named(
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
def test_what_the_code_gets_wrong_is_named(
    tmp_path: Path, options: Mapping[str, object], message: str
) -> None:
    assert refusal(tmp_path, "", options={"iris": options}) == message


def test_a_runner_called_as_a_key_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "", runners={"batching": ["predict"]})
    assert message.startswith("runner name 'batching' is a key of")


def test_without_the_service_its_runners_are_not_checked(tmp_path: Path) -> None:
    resolved = resolve_text(
        tmp_path, "runners: {zoo: {methods: {any: {max_batch_size: 2}}}}", runners=None
    )
    assert resolved.runner("zoo").batching_of("any").max_batch_size == 2
    message = refusal(tmp_path, "runners: {zo: 5}", runners=None)
    assert message.startswith("headway.yaml:1: runners.zo: unknown key; known here: ")


def test_the_file_is_the_named_one_or_the_variables_or_the_services(
    tmp_path: Path,
) -> None:
    named, by_variable = tmp_path / "a.yaml", tmp_path / "b.yaml"
    for path, port in ((named, 1), (by_variable, 2), (tmp_path / "headway.yaml", 3)):
        path.write_text(f"api_server: {{port: {port}}}", encoding="utf-8")
    environ = {"HEADWAY_CONFIG": str(by_variable)}
    first = resolve(config_file=named, service_dir=tmp_path, environ=environ)
    assert (first.config.api_server.port, first.file) == (1, str(named))
    second = resolve(service_dir=tmp_path, environ=environ)
    assert second.config.api_server.port == 2
    third = resolve(service_dir=tmp_path, environ={})
    assert third.config.api_server.port == 3


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    absent = tmp_path / "absent.yaml"
    with pytest.raises(ConfigError, match=r"--config names .*absent\.yaml"):
        resolve(config_file=absent, environ={})
    with pytest.raises(ConfigError, match=r"\$HEADWAY_CONFIG names .*absent\.yaml"):
        resolve(environ={"HEADWAY_CONFIG": str(absent)})


def test_a_file_called_yml_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "headway.yml").write_text("api_server: {}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"rename it to headway\.yaml"):
        resolve(service_dir=tmp_path, environ={})


def test_it_goes_to_a_child_process_and_back(tmp_path: Path) -> None:
    resolved = resolve_text(
        tmp_path,
        "runners: {iris: {resources: {nvidia.com/gpu: [a, 0]}, timeout: null}}",
    )
    assert ResolvedConfig.from_json(resolved.to_json()) == resolved
