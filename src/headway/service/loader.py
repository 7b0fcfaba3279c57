"""Imports a service by name: `service:svc`, `package.module:svc`, `a/service.py:svc`.

The CLI turns a path into a module and its folder; then every process that serves
imports it. Each error is one line that says where it happened.
"""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from headway.errors import HeadwayError, ServiceImportError
from headway.service.service import ServiceDefinition


def locate(reference: str, working_dir: Path | None) -> tuple[str, Path]:
    """Return the reference with a module instead of a path, and the working folder.

    Args:
        reference: `module:variable` or `path/to/module.py:variable`.
        working_dir: The folder to import from; None means the folder of the path, or
            the current folder if the reference is a module.

    Raises:
        ServiceImportError: If the file does not exist or is outside `working_dir`.
    """
    name, colon, variable = reference.partition(":")
    if "/" not in name:
        return reference, working_dir or Path()
    path = (working_dir or Path()).joinpath(name).expanduser().resolve()
    if path.suffix != ".py" and not path.is_dir():
        path = path.with_name(path.name + ".py")
    if not path.exists():
        raise ServiceImportError(f"{reference}: there is no file {path}")
    folder = path.parent if working_dir is None else working_dir.resolve()
    if not path.is_relative_to(folder):
        raise ServiceImportError(
            f"{reference}: {path} is not in {folder}, the folder of --working-dir"
        )
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    return f"{module}{colon}{variable}", folder


def service_dir(reference: str, working_dir: Path) -> Path:
    """Return the folder of the service's file, where its configuration is."""
    module, _ = _split(reference)
    path = working_dir.joinpath(*module.split("."))
    return path if path.is_dir() else path.parent


def load_service(reference: str, working_dir: Path) -> ServiceDefinition:
    """Import a service.

    Args:
        reference: `module:variable`; without a variable, the module's only service.
        working_dir: The folder to import from.

    Raises:
        ServiceImportError: If there is no such module or service, or importing it
            raises an error.
        HeadwayError: If the service's own use of Headway raises one, as for a missing
            model.
    """
    module_name, variable = _split(reference)
    folder = str(working_dir.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _import(module_name, reference, working_dir)
    services = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, ServiceDefinition)
    }
    if variable:
        found = getattr(module, variable, None)
        if isinstance(found, ServiceDefinition):
            return found
        kind = "is not a headway.Service" if found is not None else "does not exist"
        others = ", ".join(f"{module_name}:{name}" for name in services)
        hint = f"did you mean {others}?" if others else "the module has no Service"
        raise ServiceImportError(f"{reference}: {variable!r} {kind}; {hint}")
    if len({id(service) for service in services.values()}) != 1:
        names = ", ".join(services) or "none"
        raise ServiceImportError(
            f"{reference}: the module must have exactly one Service, but it has "
            f"{names}; name one, as in {module_name}:svc"
        )
    return next(iter(services.values()))


def _split(reference: str) -> tuple[str, str]:
    module, _, variable = reference.partition(":")
    module = module.removesuffix(".py").replace("/", ".").lstrip(".")
    parts = module.split(".")
    if not module or not all(part.isidentifier() or "-" in part for part in parts):
        raise ServiceImportError(
            f"{reference!r} is not a service: write module:variable, as in service:svc"
        )
    return module, variable


def _import(name: str, reference: str, working_dir: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except HeadwayError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and name.split(".")[0] == error.name.split(".")[0]:
            raise ServiceImportError(
                f"{reference}: there is no module {error.name!r} in "
                f"{working_dir.resolve()}; go to the folder of your service or give it "
                "with --working-dir"
            ) from error
        raise _import_failed(reference, error, working_dir) from error
    except (Exception, SystemExit) as error:
        # A user's module may raise any error, and a script may exit.
        raise _import_failed(reference, error, working_dir) from error


def _import_failed(
    reference: str, error: BaseException, working_dir: Path
) -> ServiceImportError:
    frames = traceback.extract_tb(error.__traceback__)
    # Prefer the user's own line to a line of a package that it calls.
    own = [frame for frame in frames if _is_users(frame.filename, working_dir)]
    places = [error] if isinstance(error, SyntaxError) else own or frames
    where = f" ({places[-1].filename}, line {places[-1].lineno})" if places else ""
    return ServiceImportError(
        f"{reference}: importing it raised {type(error).__name__}: {error}{where}"
    )


def _is_users(filename: str, working_dir: Path) -> bool:
    path = Path(filename)
    return path.is_relative_to(working_dir.resolve()) and not (
        {"site-packages", "dist-packages"} & set(path.parts)
    )
