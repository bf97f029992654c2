"""The suite file as its writer sees it: which keys there are and what each may hold.

    values of a YAML file ──> SuiteFile ──load──> Suite

Only `benchkit.suite` sees these models; the rest of benchkit sees the plain records of `benchkit.suite.suite`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, JsonValue, Tag
from pydantic_core import PydanticCustomError

from benchkit.suite.fields import Amount, Count, Text, Written, one_of
from benchkit.suite.gate_schema import WrittenGate
from benchkit.types.model import PRECISIONS
from benchkit.types.task import TASK_TYPES

# Besides the types that own data can have, MTEB's benchmarks hold these types of text tasks.
BENCHMARK_TYPES: tuple[str, ...] = (*TASK_TYPES, "Summarization", "InstructionRetrieval", "InstructionReranking")

# The columns that own data of a type needs, by the names that MTEB uses; the folder of a retrieval task is fixed.
COLUMNS: dict[str, tuple[str, ...]] = {
    "Retrieval": (),
    "Reranking": (),
    "STS": ("sentence1", "sentence2", "score"),
    "PairClassification": ("sentence1", "sentence2", "label"),
    "Classification": ("text", "label"),
    "MultilabelClassification": ("text", "label"),
    "Clustering": ("text", "label"),
    "BitextMining": ("sentence1", "sentence2"),
}

_COLUMN_NAMES: list[JsonValue] = [*sorted({name for names in COLUMNS.values() for name in names})]

# Tags of the two forms of a task and of a model; pydantic puts them into the place of an error, and a hyphen keeps
# them apart from every key.
TASK_FORM, BENCHMARK_FORM, TEXT_FORM, KEYS_FORM = "one-task", "whole-benchmark", "as-text", "as-keys"
FORMS = (TASK_FORM, BENCHMARK_FORM, TEXT_FORM, KEYS_FORM)

# Letters of any script, digits, space . _ ( ) and -: fit for a table, a file name and a metric's name alike.
_NAME_PATTERN = r"^[A-Za-z0-9_\u0080-\uffff][A-Za-z0-9_ .()\u0080-\uffff-]*$"
LARGEST_SEED = 2**32 - 1  # NumPy's legacy generators, which scikit-learn seeds, take 32 bits


def _scalar(value: object) -> object:
    # One message of our own, where a union would give one for each of its members.
    if not isinstance(value, str | int | float | bool):
        raise PydanticCustomError("not_scalar", "expected a text, a number or true/false")
    return value


def _environment_name(value: str) -> str:
    # The value isn't shown: who mistakes this key for the secret itself must not find it in a log.
    if not value.isidentifier() or not value.isascii():
        message = "expected the name of an environment variable, such as OPENAI_API_KEY; a key itself never goes here"
        raise PydanticCustomError("not_a_variable", message)
    return value


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=_NAME_PATTERN)]
# A label may be what the short form is: "intfloat/e5-small@dim=128".
Label = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S([^\x00-\x1f\x7f]*\S)?$")]
Scalar = Annotated[str | int | float | bool, BeforeValidator(_scalar)]
TaskType = Annotated[str, AfterValidator(one_of(TASK_TYPES)), Field(json_schema_extra={"enum": [*TASK_TYPES]})]
BenchmarkType = Annotated[
    str, AfterValidator(one_of(BENCHMARK_TYPES)), Field(json_schema_extra={"enum": [*BENCHMARK_TYPES]})
]
PrecisionName = Annotated[str, AfterValidator(one_of(PRECISIONS)), Field(json_schema_extra={"enum": [*PRECISIONS]})]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class LimitsEntry(Written):
    """A part of the data, drawn with a fixed seed, for a quick look; scores on a part are marked as such."""

    documents: Count | None = Field(
        default=None,
        description="Most documents of a corpus; judged documents of kept queries always stay. null takes all.",
    )
    items: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="Most queries, pairs, or texts to classify or cluster; 2 or more. null takes all."
    )


class SuiteLimitsEntry(LimitsEntry):
    """Limits of the data of every task, and of what a recommended model may cost."""

    max_p95_ms: Amount | None = Field(
        default=None, description="Most milliseconds (95th percentile) of encoding one query on this machine."
    )
    max_memory_mib: Amount | None = Field(
        default=None, description="Most memory of a process with the model at its peak, in MiB."
    )
    max_bytes_per_vector: Count | None = Field(default=None, description="Most bytes of one stored vector.")
    max_dim: Count | None = Field(default=None, description="Most dimensions of a vector.")
    licenses: list[Text] | None = Field(
        default=None, min_length=1, description="Licences that are allowed, as MTEB writes them: [apache-2.0, mit]."
    )


class PriceEntry(Written):
    """What computing costs, in any currency; turns measured throughput into a price per million tokens."""

    currency: Text = Field(default="USD", description="Shown beside every price.")
    per_hour: Amount | None = Field(default=None, description="Price of this machine for an hour.")
    per_million_tokens: dict[str, Amount] = Field(
        default_factory=dict, description="Price that an endpoint takes, by the model's label."
    )


class TaskLimitsEntry(LimitsEntry):
    """Limits of this task alone; a key that is given here wins over the suite's limits, null lifts them."""

    seed: Seed | None = Field(default=None, description="Seed of the draw; the suite's seed unless given.")


class TaskEntry(Written):
    """One task: an MTEB task by its name, or own data with `type` and `data`."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"type": ["data"], "columns": ["type"], "language": ["type"], "metric": ["type"]}
        }
    )

    name: Name = Field(description="MTEB's name of the task, or a name for own data; unique in the suite.")
    type: TaskType | None = Field(default=None, description="Type of own data. Leave it out for an MTEB task.")
    data: Text | None = Field(
        default=None,
        description="File or folder, relative to this suite file: own data, or a copy of the MTEB task's data set.",
    )
    columns: dict[str, Text] = Field(
        default_factory=dict,
        description="Names of your own columns, keyed by MTEB's: {sentence1: question, sentence2: answer}.",
        json_schema_extra={"propertyNames": {"enum": _COLUMN_NAMES}},
    )
    splits: list[Text] | None = Field(
        default=None, min_length=1, description="Splits of an MTEB task; its evaluation splits unless given."
    )
    subsets: list[Text] | None = Field(
        default=None, min_length=1, description="Subsets of an MTEB task; all unless given."
    )
    metric: Text | None = Field(
        default=None, description="Main metric of own data, where it isn't MTEB's for this type."
    )
    language: str | None = Field(
        default=None,
        pattern=r"^[a-z]{3}-[A-Z][a-z]{3}$",
        description="Language of own data: ISO 639-3 code and script, such as eng-Latn (the default).",
    )
    description: str = Field(default="", description="A sentence for readers; decides no number.")
    limits: TaskLimitsEntry = Field(default_factory=TaskLimitsEntry, description="Limits of this task alone.")


class BenchmarkEntry(Written):
    """All tasks of a benchmark that MTEB knows."""

    benchmark: Text = Field(description='MTEB\'s name of the benchmark, such as "MTEB(eng, v2)".')
    types: list[BenchmarkType] | None = Field(default=None, min_length=1, description="Only tasks of these types.")
    exclude: list[Text] = Field(default_factory=list, description="Names of tasks to leave out.")
    limits: TaskLimitsEntry = Field(default_factory=TaskLimitsEntry, description="Limits of each of these tasks.")


class ModelEntry(Written):
    """One model with everything that can be said about it; a text alone, "minilm@dim=128", is the short form."""

    name: Text = Field(description="Short name of the catalogue, MTEB or hub name, or ./folder beside this file.")
    label: Label | None = Field(
        default=None, description="Shown in every table; unique. Made from the name unless given."
    )
    loader: Text | None = Field(default=None, description="Plug-in that opens it; the name decides unless given.")
    revision: Text | None = Field(default=None, description="Hub commit, in quotes; the pinned one unless given.")
    truncate_dim: Count | None = Field(default=None, description="Keep the first dimensions only (Matryoshka).")
    dim: Count | None = Field(default=None, description="The same as truncate_dim, shorter.")
    precision: PrecisionName | None = Field(
        default=None, description="How a dimension is stored; float32 unless given."
    )
    normalize: bool | None = Field(default=None, description="Unit-length vectors; what the model does unless given.")
    prompts: dict[str, str] | None = Field(
        default=None,
        description='Text put before each input, by MTEB\'s keys: {query: "query: ", document: "passage: "}.',
    )
    max_seq_length: Count | None = Field(
        default=None, description="Longest input in tokens; the model's own unless given."
    )
    trust_remote_code: bool = Field(
        default=False,
        description="Allow Python code of the hub repository to run on this machine: read that code first.",
    )
    base_url: Text | None = Field(default=None, description="Address of an OpenAI-compatible server (loader openai).")
    model: Text | None = Field(default=None, description="Name of the model on that server.")
    api_key_env: Annotated[str, AfterValidator(_environment_name)] | None = Field(
        default=None, description="Name of the environment variable that holds the key; never the key itself."
    )
    options: dict[str, Scalar] = Field(default_factory=dict, description="Further options of the loader.")


def _form_of_task(entry: Any) -> str:
    return BENCHMARK_FORM if isinstance(entry, dict) and "benchmark" in entry else TASK_FORM


def _form_of_model(entry: Any) -> str:
    return KEYS_FORM if isinstance(entry, dict) else TEXT_FORM


AnyTask = Annotated[
    Annotated[TaskEntry, Tag(TASK_FORM)] | Annotated[BenchmarkEntry, Tag(BENCHMARK_FORM)],
    Discriminator(_form_of_task),
]
AnyModel = Annotated[
    Annotated[Text, Tag(TEXT_FORM)] | Annotated[ModelEntry, Tag(KEYS_FORM)],
    Discriminator(_form_of_model),
]


class SuiteFile(Written):
    """Which tasks and which models are compared, and how."""

    name: str = Field(
        max_length=64,
        pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$",
        description="Short name: small letters, digits, and . _ - between them.",
    )
    description: str = Field(default="", description="A sentence for readers; decides no number.")
    tasks: list[AnyTask] = Field(min_length=1, description="The tasks, one entry each, or whole benchmarks.")
    models: list[AnyModel] = Field(
        default_factory=list, description="The models; may be left out and given on the command line."
    )
    baseline: Text | None = Field(
        default=None,
        description="Label of the model that the others are compared with; all pairs are compared without it.",
    )
    limits: SuiteLimitsEntry = Field(
        default_factory=SuiteLimitsEntry,
        description="Limits of every task's data, and of what the recommended model may cost.",
    )
    price: PriceEntry | None = Field(default=None, description="What computing costs.")
    gate: WrittenGate = Field(default=None, description="What `benchkit gate` asks of a candidate.")
    seed: Seed = Field(default=42, description="Of every draw and of the bootstrap.")
    margin: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = Field(
        default=0.01, description="Differences smaller than this count as the same; 0.01 is one point."
    )
    n_resamples: Annotated[int, Field(ge=1_000, le=100_000)] = Field(
        default=10_000, description="Resamples of the bootstrap."
    )
