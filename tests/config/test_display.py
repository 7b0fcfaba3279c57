"""The documentation, the flags and --print-config show what the schema declares."""

from pathlib import Path

import click
from hypothesis import example, given
from hypothesis import strategies as st

from headway.cli.serve import serve
from headway.config.display import as_yaml, field_docs, render_config
from headway.config.resolution import ResolvedConfig, resolve
from headway.config.schema import GENERAL, MethodConfig, settings_of
from headway.config.yaml_file import parse_text

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_every_setting_has_a_docstring() -> None:
    docs = field_docs()
    for setting in [*GENERAL.values(), *settings_of(MethodConfig)]:
        assert docs[setting.doc].endswith((".", "`."))
        assert docs[setting.doc[0], ""]
        assert f"| `{setting.path[-1]}` |" in PAGE.read_text(encoding="utf-8")


def test_examples_of_the_configuration_page_resolve(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (tmp_path / "headway.yaml").write_text(
        text.split("```yaml\n")[1].split("```")[0], encoding="utf-8"
    )
    lines = text.split("```bash\nHEADWAY")[1].split("```")[0].splitlines()
    environ = dict(
        line.replace('"', "").split("=") for line in ["HEADWAY" + lines[0], *lines[1:]]
    )
    resolved = resolve(
        service_dir=tmp_path,
        environ=environ,
        runner_methods={"credit_risk_model": ["predict_proba"]},
    )
    assert resolved.config.api_server.port == 4000
    runner = resolved.runner("credit_risk_model")
    assert runner.timeout is None
    assert runner.resources.gpu == [0, 1]
    assert runner.batching.max_batch_size == 50


def test_serve_has_a_flag_for_each_setting_of_the_api_server() -> None:
    options = {
        option.name: option
        for option in serve.params
        if isinstance(option, click.Option)
    }
    port = options["api_server__port"]
    assert port.opts == ["-p", "--port"]
    assert options["api_server__workers"].opts == ["--api-workers"]
    assert options["api_server__timeout"].metavar == "NUMBER"
    help_text = options["api_server__host"].help
    assert help_text == "Address to listen on. Default: 0.0.0.0."
    names = [name for option in options.values() for name in option.opts]
    assert len(names) == len(set(names))
    given_flags = {"api_server.port": "5", "api_server.timeout": "null"}
    server = resolve(environ={}, flags=given_flags).config.api_server
    assert (server.port, server.timeout) == (5, None)


def resolved_example() -> ResolvedConfig:
    """Return settings of every kind of source."""
    return resolve(
        environ={"HEADWAY_RUNNERS__IRIS__RESOURCES__NVIDIA_COM_GPU": '[0, "1", $x]'},
        flags={"api_server.host": "${odd}: #", "api_server.timeout": 1e-5},
        runner_options={"iris": {"methods.predict.max_batch_size": 7}},
        runner_methods={"iris": ["predict"], "on": ["predict"]},
    )


def test_print_config_hides_the_password() -> None:
    flags = {"api_server.ssl_keyfile_password": "hunter2"}
    printed = render_config(resolve(environ={}, flags=flags))
    assert "hunter2" not in printed
    assert 'ssl_keyfile_password: "***"' in printed or "'***'" in printed
    assert "ssl_keyfile_password: null" in render_config(resolve(environ={}))


def test_print_config_shows_sources() -> None:
    lines = [line.strip() for line in render_config(resolved_example()).splitlines()]
    assert lines[0] == "# file: none"
    assert "port: 3000  # default" in lines
    assert "max_batch_size: 7  # code" in lines
    assert "timeout: 1e-05  # --timeout" in lines


def test_print_config_output_is_a_file_of_the_same_settings(tmp_path: Path) -> None:
    first = resolved_example()
    path = tmp_path / "printed.yaml"
    path.write_text(render_config(first), encoding="utf-8")
    again = resolve(
        config_file=path,
        environ={},
        runner_methods={"iris": ["predict"], "on": ["predict"]},
    )
    assert again.config == first.config
    assert again.runners == first.runners


@example(value="0E0")
@given(value=st.one_of(st.text(), st.integers(), st.floats(allow_nan=False)))
def test_as_yaml_round_trips(value: str | float) -> None:
    if value in (float("inf"), float("-inf")):
        return
    shown = as_yaml(value)
    assert "\n" not in shown
    assert parse_text(shown) == value
