"""Precedence of the sources, and the source that each value names."""

from pathlib import Path

import pytest

from headway.config.resolution import resolve
from headway.config.schema import BatchingConfig, HeadwayConfig
from headway.errors import ConfigError
from tests.config.resolving import RUNNERS, resolve_text


def test_defaults_without_any_source() -> None:
    resolved = resolve(environ={})
    assert resolved.config == HeadwayConfig()
    assert resolved.runner("any") == HeadwayConfig().runners
    assert set(resolved.sources.values()) == {"default"}
    assert resolved.file is None


def test_general_file_values_reach_each_runner(tmp_path: Path) -> None:
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
def test_precedence_of_a_runners_sources(tmp_path: Path, highest: int) -> None:
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


def test_flags_override_environment_and_file(tmp_path: Path) -> None:
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
def test_precedence_of_a_methods_sources(
    tmp_path: Path, text: str, batch_size: int
) -> None:
    resolved = resolve_text(
        tmp_path, text, options={"iris": {"methods.predict.max_batch_size": 2}}
    )
    batching = resolved.runner("iris").batching_of("predict")
    assert batching.max_batch_size == batch_size


def test_method_inherits_the_runners_batching(tmp_path: Path) -> None:
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


def test_runner_without_section_has_the_general_values(tmp_path: Path) -> None:
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


def test_resources_null_clears_the_general_values(tmp_path: Path) -> None:
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
def test_environment_values_are_read_by_type(
    name: str, value: str, expected: object
) -> None:
    resolved = resolve(environ={f"HEADWAY_API_SERVER__{name}": value})
    assert getattr(resolved.config.api_server, name.lower()) == expected


def test_environment_sets_runners_and_methods_by_name() -> None:
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


def test_choice_of_the_file(
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


def test_named_file_must_exist(tmp_path: Path) -> None:
    absent = tmp_path / "absent.yaml"
    with pytest.raises(ConfigError, match=r"--config names .*absent\.yaml"):
        resolve(config_file=absent, environ={})
    with pytest.raises(ConfigError, match=r"\$HEADWAY_CONFIG names .*absent\.yaml"):
        resolve(environ={"HEADWAY_CONFIG": str(absent)})


def test_yml_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "headway.yml").write_text("api_server: {}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"rename it to headway\.yaml"):
        resolve(service_dir=tmp_path, environ={})


def test_environment_overrides_code_of_a_method() -> None:
    options = {"iris": {"methods.predict.max_batch_size": 2}}
    general = "HEADWAY_RUNNERS__BATCHING__MAX_BATCH_SIZE"
    methods = {"iris": ["predict"]}
    resolved = resolve(
        environ={general: "9"}, runner_options=options, runner_methods=methods
    )
    assert resolved.runner("iris").batching_of("predict").max_batch_size == 9
    # Another key of the same section is not over it.
    other = {"HEADWAY_RUNNERS__BATCHING__MAX_LATENCY_MS": "9"}
    resolved = resolve(environ=other, runner_options=options, runner_methods=methods)
    assert resolved.runner("iris").batching_of("predict").max_batch_size == 2


def test_folder_without_file_has_the_defaults(tmp_path: Path) -> None:
    assert resolve(service_dir=tmp_path, environ={}).config == HeadwayConfig()
