"""The generated document, the flags and --print-config say what the schema says."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headway.config.document import main, render_document
from headway.config.documentation import as_yaml, field_docs
from headway.config.flags import serve_flags
from headway.config.resolve import resolve
from headway.config.resolved import ResolvedConfig
from headway.config.settings import GENERAL, METHOD, RUNNER
from headway.config.show import render_config
from headway.config.yaml_file import parse_text

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def test_the_document_is_up_to_date() -> None:
    """If not: `scripts/docs`."""
    assert DOCUMENT.read_text(encoding="utf-8") == render_document()


def test_every_setting_is_explained() -> None:
    docs = field_docs()
    for setting in [*GENERAL.values(), *METHOD.values()]:
        assert docs[setting.section.__name__, setting.field].endswith((".", "`."))
        assert docs[setting.section.__name__, ""]
        assert f"| `{setting.path[-1]}` |" in render_document()


def test_main_writes_or_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(tmp_path / "out.md")])
    main([])
    printed = capsys.readouterr().out
    assert (tmp_path / "out.md").read_text(encoding="utf-8") == printed


def test_the_examples_in_the_document_resolve(tmp_path: Path) -> None:
    text = render_document()
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


def test_flags_set_what_they_name() -> None:
    flags = {flag.key: flag for flag in serve_flags()}
    assert flags["api_server.port"].names == ("-p", "--port")
    assert flags["api_server.workers"].names == ("--api-workers",)
    assert flags["api_server.timeout"].metavar == "NUMBER"
    assert flags["api_server.host"].help == "Address to listen on. Default: 0.0.0.0."
    names = [name for flag in flags.values() for name in flag.names]
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


def test_a_password_is_not_printed() -> None:
    flags = {"api_server.ssl_keyfile_password": "hunter2"}
    printed = render_config(resolve(environ={}, flags=flags))
    assert "hunter2" not in printed
    assert 'ssl_keyfile_password: "***"' in printed or "'***'" in printed
    assert "ssl_keyfile_password: null" in render_config(resolve(environ={}))


def test_what_is_printed_says_where_values_came_from() -> None:
    lines = [line.strip() for line in render_config(resolved_example()).splitlines()]
    assert lines[0] == "# file: none"
    assert "port: 3000  # default" in lines
    assert "max_batch_size: 7  # code" in lines
    assert "timeout: 1e-05  # --timeout" in lines


def test_what_is_printed_is_a_file_of_the_same_settings(tmp_path: Path) -> None:
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
def test_values_are_shown_as_yaml_reads_them(value: str | float) -> None:
    if value in (float("inf"), float("-inf")):
        return
    shown = as_yaml(value)
    assert "\n" not in shown
    assert parse_text(shown) == value


def test_a_runner_has_every_general_key() -> None:
    general = {path[1:] for path in GENERAL if path[0] == "runners"}
    assert general == set(RUNNER)
