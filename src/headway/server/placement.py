"""Describes a service, and plans its replicas and their shares of the machine.

A short-lived process describes the service, so that the supervisor never imports the
user's code. The supervisor plans from the description.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from headway.config.resolution import ResolvedConfig, resolve
from headway.config.schema import RunnerConfig
from headway.core.method_spec import MethodSpec
from headway.service.service import ServiceDefinition

_log = logging.getLogger(__name__)
_GPU = "nvidia.com/gpu"

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class RunnerPlan(msgspec.Struct, frozen=True):
    """The description of a runner."""

    name: str
    methods: dict[str, MethodSpec]
    options: dict[str, Any]
    """The arguments of `to_runner(...)`, for `resolve`."""
    uses_gpu: bool
    multi_threaded: bool


class ServicePlan(msgspec.Struct, tag="plan", frozen=True):
    """The description of a service, without its code."""

    name: str
    runners: list[RunnerPlan]

    def resolve(
        self,
        *,
        config_file: Path | None,
        folder: Path,
        flags: Mapping[str, object] | None = None,
    ) -> ResolvedConfig:
        """Return the configuration of the service.

        Args:
            config_file: Value of `--config`.
            folder: Folder of the service, for a configuration file beside it.
            flags: Dotted key to the value of a flag; None: the flag was not given.

        Raises:
            ConfigError: If a setting is wrong.
        """
        return resolve(
            config_file=config_file,
            service_dir=folder,
            environ=os.environ,
            flags=flags,
            runner_options={runner.name: runner.options for runner in self.runners},
            runner_methods={runner.name: [*runner.methods] for runner in self.runners},
        )


class ReplicaPlan(msgspec.Struct, frozen=True):
    """The share of the machine that a replica may use."""

    threads: int
    gpus: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """Return the variables that limit a process to this share."""
        variables = dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus)
        return variables


def describe(service: ServiceDefinition) -> ServicePlan:
    """Return the description of a service."""
    runners = []
    for runner in service.runners:
        supported = runner.runnable_class.SUPPORTED_RESOURCES
        resources = (supported,) if isinstance(supported, str) else supported
        plan = RunnerPlan(
            name=runner.name,
            methods={name: method.spec for name, method in runner.methods.items()},
            options={
                f"methods.{name}.{option}": value
                for name, method in runner.options.items()
                for option, value in msgspec.structs.asdict(method).items()
                if value is not None
            },
            uses_gpu=_GPU in resources,
            multi_threaded=runner.runnable_class.SUPPORTS_CPU_MULTI_THREADING,
        )
        runners.append(plan)
    return ServicePlan(name=service.name, runners=runners)


def plan_replicas(
    runner: RunnerPlan, config: RunnerConfig, cores: int
) -> list[ReplicaPlan]:
    """Return the replicas of a runner.

    With GPUs: `workers_per_resource` replicas for each GPU (0.5: one replica on two).
    Otherwise `cpu` cores, or half of the machine's: a model that uses several threads
    gets them as threads, shared by `workers_per_resource` replicas; another model gets
    a replica for each core.
    """
    resources, each = config.resources, config.workers_per_resource
    gpus = _gpu_ids(resources.gpu) if runner.uses_gpu else []
    default = max(cores // 2, 1)
    if gpus:
        threads = max(int(resources.cpu or default), 1)
        if each >= 1:
            return [
                ReplicaPlan(threads, (gpu,)) for gpu in gpus for _ in range(int(each))
            ]
        share = max(round(1 / each), 1)
        return [
            ReplicaPlan(threads, tuple(gpus[start : start + share]))
            for start in range(0, len(gpus), share)
        ]
    cpu = resources.cpu
    if runner.multi_threaded or cpu is None:
        replicas = max(int(each), 1)
        threads = max(int((cpu or default) / replicas), 1)
        return [ReplicaPlan(threads if runner.multi_threaded else 1)] * replicas
    return [ReplicaPlan(1)] * max(int(cpu * each), 1)


def warn_of_ignored(runner: RunnerPlan, config: RunnerConfig) -> None:
    """Log which of a runner's resources have no effect."""
    if config.resources.gpu and not runner.uses_gpu:
        _log.warning(
            "runner %r: resources.%s is %r, which has no effect: its model cannot use "
            "GPUs (SUPPORTED_RESOURCES of its runnable does not name %s)",
            runner.name,
            _GPU,
            config.resources.gpu,
            _GPU,
        )


def _gpu_ids(gpu: int | list[Any] | None) -> list[str]:
    return [str(i) for i in (range(gpu) if isinstance(gpu, int) else gpu or ())]


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
