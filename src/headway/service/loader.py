"""Imports a service by name: `service:svc`, `package.module:svc`, `a/service.py:svc`.

Every process that serves calls it, after the CLI has turned a path into a module and
its folder; what goes wrong is one line that says where.
"""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from headway.errors import HeadwayError, ServiceImportError
from headway.service.service import Service

__all__ = ["load_service", "locate", "service_dir"]


def locate(reference: str, working_dir: Path | None) -> tuple[str, Path]:
    """Return the reference with a module in place of a path, and the working folder.

    Args:
        reference: `module:variable` or `path/to/module.py:variable`.
        working_dir: Where modules are looked for; None: in the folder of the path, or
            here if it is none.

    Raises:
        ServiceImportError: If a path names no file, or one outside `working_dir`.
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
            f"{reference}: {path} is not in {folder}, which --working-dir names"
        )
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    return f"{module}{colon}{variable}", folder


def service_dir(reference: str, working_dir: Path) -> Path:
    """Return the folder of the service's file, for the configuration beside it."""
    module, _ = _split(reference)
    path = working_dir.joinpath(*module.split("."))
    return path if path.is_dir() else path.parent


def load_service(reference: str, working_dir: Path) -> Service:
    """Import a service.

    Args:
        reference: `module:variable`; without a variable, the module's only service.
        working_dir: Where modules are looked for first.

    Raises:
        ServiceImportError: If there is no such module or service, or importing it
            raises.
        HeadwayError: What the service's own use of Headway raised, as a missing model.
    """
    module_name, variable = _split(reference)
    folder = str(working_dir.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _import(module_name, reference, working_dir)
    services = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Service)
    }
    if variable:
        found = getattr(module, variable, None)
        if isinstance(found, Service):
            return found
        kind = "is no headway.Service" if found is not None else "does not exist"
        others = ", ".join(f"{module_name}:{name}" for name in services)
        hint = f"did you mean {others}?" if others else "the module makes no Service"
        raise ServiceImportError(f"{reference}: {variable!r} {kind}; {hint}")
    if len({id(service) for service in services.values()}) != 1:
        names = ", ".join(services) or "none"
        raise ServiceImportError(
            f"{reference}: the module has to make one Service, but makes {names}; name "
            f"it, as in {module_name}:svc"
        )
    return next(iter(services.values()))


def _split(reference: str) -> tuple[str, str]:
    module, _, variable = reference.partition(":")
    module = module.removesuffix(".py").replace("/", ".").lstrip(".")
    parts = module.split(".")
    if not module or not all(part.isidentifier() or "-" in part for part in parts):
        raise ServiceImportError(
            f"{reference!r} names no service: write module:variable, as in service:svc"
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
                f"{working_dir.resolve()}; go to the folder of your service or name it "
                "with --working-dir"
            ) from error
        raise _import_failed(reference, error, working_dir) from error
    except (Exception, SystemExit) as error:
        # A user's module may raise anything, and a script's end be its own.
        raise _import_failed(reference, error, working_dir) from error


def _import_failed(
    reference: str, error: BaseException, working_dir: Path
) -> ServiceImportError:
    frames = traceback.extract_tb(error.__traceback__)
    # Rather the user's line than one of a package that it calls.
    own = [frame for frame in frames if _is_users(frame.filename, working_dir)]
    where = ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
    elif own:
        where = f" ({own[-1].filename}, line {own[-1].lineno})"
    elif frames:
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return ServiceImportError(
        f"{reference}: importing it raised {type(error).__name__}: {error}{where}"
    )


def _is_users(filename: str, working_dir: Path) -> bool:
    path = Path(filename)
    return path.is_relative_to(working_dir.resolve()) and not (
        {"site-packages", "dist-packages"} & set(path.parts)
    )
