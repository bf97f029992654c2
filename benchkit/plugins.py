"""From names to parts, through the entry points of installed packages; benchkit's own parts register the same way.

    [project.entry-points."benchkit.models"]     name = "module:function"  ──> open_model(spec, context)
    [project.entry-points."benchkit.detectors"]  name = "module:class"     ──> open_detector(name, **options)

A name that two packages offer is an error that names both; a part that can't be imported names its package and reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from inspect import signature

from benchkit.errors import PluginError, UsageError
from benchkit.models.names import did_you_mean, resolve_loader
from benchkit.types.drift import DriftDetector
from benchkit.types.model import ModelHandle, ModelSpec, OpenContext

MODELS = "benchkit.models"
DETECTORS = "benchkit.detectors"
GROUPS = (MODELS, DETECTORS)


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A registered part, for people.

    Attributes:
        origin: The distribution that registers it, with its version.
        problem: Why it can't be used; "" when it can.
    """

    group: str
    name: str
    target: str
    origin: str
    problem: str


def open_model(spec: ModelSpec, context: OpenContext) -> ModelHandle:
    """Find a model with the loader that its name or its spec asks for; nothing is loaded.

    Raises:
        ModelError: no such model, or it can't be had.
        PluginError: no such loader, two of one name, or one that can't be imported.
    """
    handle = load_plugin(MODELS, resolve_loader(spec))(spec, context)
    if not isinstance(handle, ModelHandle):
        raise PluginError(
            f"the model plug-in {resolve_loader(spec)!r} returned {type(handle).__name__}, without `meta` and `load`"
        )
    return handle


def open_detector(name: str, **options: object) -> DriftDetector:
    """Make a drift detector of that name.

    Args:
        options: What its constructor takes, such as `permutations=999`.

    Raises:
        PluginError: no such detector, two of one name, one that can't be imported, or that is no detector.
        UsageError: it has no such option, or the option's value is out of range.
    """
    make = load_plugin(DETECTORS, name)
    _check_options(name, make, options)
    try:
        detector = make(**options)
    except (TypeError, ValueError) as exc:
        raise UsageError(f"the detector {name!r} can't be made so: {exc}") from exc
    if not isinstance(detector, DriftDetector):
        raise PluginError(
            f"the detector plug-in {name!r} made {type(detector).__name__}, "
            "without `name`, `paper`, `has_p_value` and `compare`"
        )
    return detector


def _check_options(name: str, make: Callable[..., object], options: Iterable[str]) -> None:
    try:
        parameters = signature(make).parameters.values()
    except (TypeError, ValueError) as exc:
        raise PluginError(f"the detector plug-in {name!r} is nothing that can be called with options: {exc}") from exc
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    for option in options:
        if option not in known:
            raise UsageError(
                f"the detector {name!r} has no option {option!r}.{did_you_mean(option, known)} "
                f"Options: {', '.join(known) or 'none'}"
            )


def load_plugin(group: str, name: str) -> Callable[..., object]:
    """Import the part of that name.

    Raises:
        PluginError: there is none, there are two, or it can't be imported.
    """
    found = [point for point in entry_points(group=group) if point.name == name]
    if not found:
        known = sorted({point.name for point in entry_points(group=group)})
        listed = ", ".join(known) or "none (is benchkit installed, or only its folder on the path?)"
        raise PluginError(f"no {group} plug-in named {name!r}.{did_you_mean(name, known)} Installed: {listed}")
    if len({(point.value, _origin(point)) for point in found}) > 1:
        raise PluginError(f"two packages offer the {group} plug-in {name!r}: {', '.join(sorted(map(_origin, found)))}")
    try:
        loaded: Callable[..., object] = found[0].load()
    except (ImportError, AttributeError) as exc:
        raise PluginError(f"the {group} plug-in {name!r} of {_origin(found[0])} can't be imported: {exc}") from exc
    return loaded


def list_plugins() -> list[PluginInfo]:
    """Return every registered part, importing each to see whether it loads."""
    found = []
    for group in GROUPS:
        for point in sorted(entry_points(group=group), key=lambda point: point.name):
            try:
                load_plugin(group, point.name)
                problem = ""
            except PluginError as exc:
                problem = str(exc)
            found.append(PluginInfo(group, point.name, point.value, _origin(point), problem))
    return found


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown package"
