"""Which prompt a model puts before the texts of a task: the one that MTEB ends up with.

    a model's own prompts (by name) ──────────────┐
    prompts of a suite or MTEB's registry (by key) ┴─ Prompts.effective(task, type, role) ──> "query: "

Source: MTEB's `AbsEncoder.get_prompt` and SentenceTransformerEncoderWrapper, and `SentenceTransformer.encode`, held
against both by the tests.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from benchkit.models.silence import quiet
from benchkit.types.model import Role

# The names under which sentence-transformers looks for a document's prompt, in its order.
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Prompts:
    """Where a model's prompts come from.

    Attributes:
        own: sentence-transformers' prompts of the model's files, by name.
        default: Name of its default prompt.
        given: Prompts by MTEB's keys, from the spec or MTEB's registry. They take the place of the model's own, all of
            them, as MTEB does it; None leaves the model's own.
    """

    own: Mapping[str, str]
    default: str | None = None
    given: Mapping[str, str] | None = None

    def effective(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        """Return the text that MTEB puts before each input of this task and role.

        MTEB's order first (task and role, task, type and role, type, role); where it finds nothing,
        sentence-transformers' own: "query", or "document", "passage", "corpus", and then the default prompt.

        >>> e5 = Prompts(own={}, given={"query": "query: ", "document": "passage: "})
        >>> e5.effective(task_name="NFCorpus", task_type="Retrieval", role="document")
        'passage: '
        >>> e5.effective(task_name="STS16", task_type="STS", role=None)
        ''
        """
        prompts = self._texts
        for key in _mteb_keys(task_name, role):
            if key in prompts and (self.given is not None or _is_mteb_key(key)):
                return prompts[key]
        by_type = [f"{task_type}-{role}", task_type, role] if role is not None else [task_type]
        names = {"query": ("query",), "document": _DOCUMENT_PROMPTS, None: ()}[role]
        return next((prompts[key] for key in (*by_type, *names, self.default or "") if key in prompts), "")

    def identity(self) -> dict[str, object]:
        """Return all that decides `effective`."""
        # MTEB reads keys that a model brings and keys that it is given in different ways, so whose they are counts too.
        given = self.given is not None
        return {"given": given, "texts": dict(self._texts), "default": self._texts.get(self.default or "")}

    @property
    def _texts(self) -> Mapping[str, str]:
        return self.own if self.given is None else self.given


def _mteb_keys(task_name: str, role: Role | None) -> tuple[str, ...]:
    return (task_name,) if role is None else (f"{task_name}-{role}", task_name)


@functools.cache
def _is_mteb_key(key: str) -> bool:
    """Tell whether MTEB heeds a prompt of the model's own under this name; imports mteb.

    It heeds its own task names only. A model's prompt "clustering" says nothing to a task that somebody called so.
    """
    from mteb.models.abs_encoder import AbsEncoder

    with quiet("mteb"):
        valid, _ = AbsEncoder.validate_task_to_prompt_name({key: ""}, raise_for_invalid_keys=False)
    return key in (valid or {})
