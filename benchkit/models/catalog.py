"""Short names for well-known models, and the facts that have to be known before one is loaded.

    "bge" ─ find ─> Entry ─> loader plug-in, hub name, pinned revision, prompts
    "org/name" ─ find_in_registry ─> Entry of MTEB's registry, read when it is asked for

The facts are a snapshot of MTEB 2.26's registry, so that listing models and opening a known one never waits the
seconds that `import mteb` takes; a test holds every entry against the registry that is installed.
`training_tasks` is the set that MTEB's zero-shot flag looks at: the data sets that were named by the authors, their
translations and their subsets. It is empty both for "none" and for "not known".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchkit.errors import ModelError


class NotAtHand(ModelError):
    """A model that can't be opened on this machine as it is; what is known of its name holds all the same."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalogue.

    Attributes:
        name: Short name.
        id: Name on the hub and in MTEB; the short name itself for a model that benchkit makes.
        loader: Plug-in of the group `benchkit.models`.
        description: One line for `benchkit models`.
        revision: Hub commit that MTEB pins.
        dimension: Length of a vector; None for sparse models.
        parameters: Number of weights as MTEB's registry has it, often rounded by the authors.
        license: SPDX name or address of the licence.
        languages: MTEB's codes, "eng-Latn".
        prompts: Prompt texts by MTEB's keys; None leaves the choice to the model's own files.
        training_tasks: MTEB data sets that it was trained on.
        safetensors: Whether the pinned revision has weights that aren't pickled, as far as MTEB's registry knows.
    """

    name: str
    id: str
    loader: str
    description: str
    revision: str | None = None
    dimension: int | None = None
    parameters: int | None = None
    license: str | None = None
    languages: tuple[str, ...] = ()
    prompts: Mapping[str, str] | None = None
    training_tasks: tuple[str, ...] = field(default=(), repr=False)
    safetensors: bool = True


def find(name: str) -> Entry | None:
    """Return the entry with this short name, alias or hub name.

    >>> find("bge").id
    'BAAI/bge-base-en-v1.5'
    """
    return _BY_NAME.get(name)


def short_names() -> tuple[str, ...]:
    """Return every short name and alias, sorted."""
    return tuple(sorted({entry.name for entry in ENTRIES} | ALIASES.keys()))


def find_in_registry(name: str) -> Entry | None:
    """Return what MTEB's own registry says of a hub name, or None; imports mteb."""
    import mteb
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    try:
        meta = mteb.get_model_meta(name)
    except KeyError:
        return None
    # Any further argument (a dtype, a processor option) makes other vectors than plain sentence-transformers would.
    plain = meta.loader is SentenceTransformerEncoderWrapper and not set(meta.loader_kwargs) - {"model_prompts"}
    return Entry(
        name=name,
        id=str(meta.name),
        loader="sentence-transformers" if plain else "mteb",
        description="",
        revision=meta.revision,
        dimension=meta.embed_dim if isinstance(meta.embed_dim, int) else None,
        parameters=meta.n_parameters,
        license=meta.license,
        languages=tuple(meta.languages or ()),
        prompts=meta.loader_kwargs.get("model_prompts"),
        training_tasks=tuple(sorted(meta.get_training_datasets() or ())),
        safetensors="safetensors" in meta.framework,
    )


def _names(*groups: str) -> tuple[str, ...]:
    return tuple(sorted(" ".join(groups).split()))


def _in_order(codes: str) -> tuple[str, ...]:
    return tuple(codes.split())


_ENGLISH = ("eng-Latn",)
_CHINESE = ("zho-Hans",)
_M3E_LANGUAGES = ("zho-Hans", "eng-Latn")
# MTEB's own codes and order, with the one that it repeats.
_BGE_M3_LANGUAGES = _in_order(
    """
    afr-Latn amh-Ethi azj-Latn ast-Latn azj-Latn ben-Beng bul-Cyrl bel-Cyrl cat-Latn ceb-Latn ckb-Arab dan-Latn deu-Latn
    ell-Grek eng-Latn est-Latn fin-Latn fra-Latn glg-Latn guj-Gujr heb-Hebr hin-Deva ita-Latn jpn-Jpan kor-Hang rus-Cyrl
    tha-Thai ukr-Cyrl zho-Hans
    """
)
_E5_LANGUAGES = _in_order(
    """
    afr-Latn amh-Latn ara-Latn asm-Latn aze-Latn bel-Latn bul-Latn ben-Latn ben-Beng bre-Latn bos-Latn cat-Latn ces-Latn
    cym-Latn dan-Latn deu-Latn ell-Latn eng-Latn epo-Latn spa-Latn est-Latn eus-Latn fas-Latn fin-Latn fra-Latn fry-Latn
    gle-Latn gla-Latn glg-Latn guj-Latn hau-Latn heb-Latn hin-Latn hin-Deva hrv-Latn hun-Latn hye-Latn ind-Latn isl-Latn
    ita-Latn jpn-Latn jav-Latn kat-Latn kaz-Latn khm-Latn kan-Latn kor-Latn kur-Latn kir-Latn lat-Latn lao-Latn lit-Latn
    lav-Latn mlg-Latn mkd-Latn mal-Latn mon-Latn mar-Latn msa-Latn mya-Latn nep-Latn nld-Latn nob-Latn orm-Latn ori-Latn
    pan-Latn pol-Latn pus-Latn por-Latn ron-Latn rus-Latn san-Latn snd-Latn sin-Latn slk-Latn slv-Latn som-Latn sqi-Latn
    srp-Latn sun-Latn swe-Latn swa-Latn tam-Latn tam-Taml tel-Latn tel-Telu tha-Latn tgl-Latn tur-Latn uig-Latn ukr-Latn
    urd-Latn urd-Arab uzb-Latn vie-Latn xho-Latn yid-Latn zho-Hant zho-Hans
    """
)

# Families of data sets: one corpus with its translations and subsets.
_MSMARCO = """
    MSMARCO MSMARCO-Fa MSMARCO-FaHardNegatives MSMARCO-PL MSMARCO-PLHardNegatives MSMARCO-VN MSMARCOHardNegatives
    MSMARCOv2 MultilingualNanoMSMARCORetrieval NanoMSMARCO-VN NanoMSMARCORetrieval
"""
_NQ = """
    MultilingualNanoNQRetrieval NQ NQ-Fa NQ-FaHardNegatives NQ-NL NQ-PL NQ-PLHardNegatives NQ-VN NQHardNegatives
    NQTablesRetrieval NanoNQ-VN NanoNQRetrieval
"""
_HOTPOT = """
    HotpotQA HotpotQA-Fa HotpotQA-FaHardNegatives HotpotQA-NL HotpotQA-PL HotpotQA-PLHardNegatives HotpotQA-VN
    HotpotQAHardNegatives HotpotQAHardNegatives.v2
"""
_NANO_HOTPOT = "MultilingualNanoHotpotQARetrieval NanoHotpotQA-VN NanoHotpotQARetrieval"
_FEVER = """
    FEVER FEVER-FaHardNegatives FEVER-NL FEVER-VN FEVERHardNegatives FEVERHardNegatives.v2
    MultilingualNanoFEVERRetrieval NanoFEVER-VN NanoFEVERRetrieval
"""
_MIRACL = """
    MIRACLJaRetrievalLite MIRACLReranking MIRACLRetrieval MIRACLRetrievalHardNegatives MIRACLRetrievalHardNegatives.v2
"""
_TYDI = "MrTidyRetrieval MrTyDiJaRetrievalLite"
_QUORA = """
    MultilingualNanoQuoraRetrieval NanoQuoraRetrieval Quora-NL Quora-PL Quora-PLHardNegatives QuoraRetrieval
    QuoraRetrieval-Fa QuoraRetrieval-Fa.v2 QuoraRetrievalDecontaminated QuoraRetrievalHardNegatives
    QuoraRetrievalHardNegatives.v2
"""
_AMAZON_REVIEWS = "AmazonReviewsClassification AmazonReviewsVNClassification"

_WEB_SEARCH = _names(_MSMARCO, _NQ, "mMARCO-NL")
_BGE = _names(_NQ, _AMAZON_REVIEWS, "DuRetrieval MLQARetrieval")
_BGE_ZH = _names(
    _MSMARCO, _NQ, _HOTPOT, _NANO_HOTPOT, _QUORA,
    "CMedQAv2-reranking CmedqaRetrieval Cmnli DuRetrieval MMarcoReranking Ocnli T2Retrieval",
)  # fmt: skip
_BGE_M3 = _names(
    _MSMARCO, _NQ, _HOTPOT, _NANO_HOTPOT, _MIRACL, _TYDI,
    "CMedQAv1-reranking CMedQAv2-reranking CmedqaRetrieval CodeSearchNet DuRetrieval LeCaRDv2 MMarcoReranking",
    "T2Reranking T2Retrieval mMARCO-NL",
)  # fmt: skip
_MULTILINGUAL_E5 = _names(
    _MSMARCO, _NQ, _HOTPOT, _NANO_HOTPOT, _FEVER, _MIRACL, _TYDI, "FEVER-PL XQuADRetrieval mMARCO-NL"
)  # fmt: skip
_GTE_MODERNBERT = _names(
    _MSMARCO, _NQ, _HOTPOT, _NANO_HOTPOT, _FEVER, _MIRACL, _TYDI,
    "CMedQAv2-reranking CmedqaRetrieval DuRetrieval MMarcoReranking MultiLongDocReranking MultiLongDocRetrieval",
    "T2Retrieval mMARCO-NL",
)  # fmt: skip
_M3E = _names(_MSMARCO, _NQ, _MIRACL, _AMAZON_REVIEWS, "BQ DuRetrieval LCQMC Ocnli PAWSX mMARCO-NL")
_NOMIC = _names(
    _MSMARCO, _NQ, _HOTPOT, _NANO_HOTPOT, _FEVER, _QUORA, _AMAZON_REVIEWS,
    """
    AmazonCounterfactualClassification AmazonCounterfactualVNClassification AmazonPolarityClassification
    AmazonPolarityClassification.v2 AmazonPolarityVNClassification COIRCodeSearchNetRetrieval CodeSearchNetCCRetrieval
    FQuADRetrieval HUMERedditClusteringP2P HUMEWikipediaRerankingMultilingual HotPotQA HotPotQA-PL HotPotQAHardNegatives
    RedditClustering RedditClustering-VN RedditClustering.v2 RedditClusteringP2P RedditClusteringP2P-VN
    RedditClusteringP2P.v2 StackExchangeClustering StackExchangeClustering-VN StackExchangeClustering.v2
    StackExchangeClusteringP2P StackExchangeClusteringP2P-VN StackExchangeClusteringP2P.v2
    WikipediaRerankingMultilingual WikipediaRetrievalMultilingual YahooAnswersTopicsClassification
    YahooAnswersTopicsClassification.v2 mMARCO-NL
    """,
)  # fmt: skip

# BGE's prompt for queries; the BRIGHT tasks have their own, with the wording (and the singular) of MTEB.
_BGE_PROMPTS = {"query": "Represent this sentence for searching relevant passages: "} | {
    f"Bright{task}Retrieval-query": f"Represent this {what} for searching relevant {sought}: "
    for task, what, sought in (
        ("Biology", "biology post", "passages"),
        ("EarthScience", "earth_science post", "passages"),
        ("Economics", "economics post", "passages"),
        ("Psychology", "psychology post", "passages"),
        ("Robotics", "robotics post", "passages"),
        ("Stackoverflow", "stackoverflow post", "passages"),
        ("SustainableLiving", "sustainable_living post", "passages"),
        ("Pony", "Pony question", "passages"),
        ("Leetcode", "Coding problem", "examples"),
        ("Aops", "Math problem", "examples"),
        ("TheoremQATheorems", "Math problem", "theorems"),
        ("TheoremQAQuestions", "Math problem", "examples"),
        ("BiologyLong", "biology post", "documents"),
        ("EarthScienceLong", "earth_science post", "documents"),
        ("EconomicsLong", "economics post", "documents"),
        ("PsychologyLong", "psychology post", "documents"),
        ("RoboticsLong", "robotics post", "document"),
        ("StackoverflowLong", "stackoverflow post", "document"),
        ("SustainableLivingLong", "sustainable_living post", "documents"),
        ("PonyLong", "Pony question", "documents"),
    )
}
_BGE_ZH_PROMPTS = {"query": "为这个句子生成表示以用于检索相关文章："}
_E5_PROMPTS = {"query": "query: ", "document": "passage: "}
_NOMIC_PROMPTS = {
    "Classification": "classification: ",
    "MultilabelClassification": "classification: ",
    "Clustering": "clustering: ",
    "PairClassification": "classification: ",
    "Reranking": "classification: ",
    "STS": "classification: ",
    "Summarization": "classification: ",
    "query": "search_query: ",
    "document": "search_document: ",
}
_M3E_LICENSE = "https://huggingface.co/moka-ai/m3e-base#%F0%9F%93%9C-license"


def _hub(
    name: str,
    id: str,  # noqa: A002
    revision: str,
    dimension: int,
    parameters: int,
    license: str,  # noqa: A002
    description: str,
    *,
    languages: tuple[str, ...] = _ENGLISH,
    prompts: Mapping[str, str] | None = None,
    training_tasks: tuple[str, ...] = (),
    safetensors: bool = True,
    loader: str = "sentence-transformers",
) -> Entry:
    return Entry(
        name=name,
        id=id,
        loader=loader,
        description=description,
        revision=revision,
        dimension=dimension,
        parameters=parameters,
        license=license,
        languages=languages,
        prompts=prompts,
        training_tasks=training_tasks,
        safetensors=safetensors,
    )


# fmt: off
ENTRIES: tuple[Entry, ...] = (
    _hub("minilm", "sentence-transformers/all-MiniLM-L6-v2", "8b3219a92973c328a8e22fadcfa821b5dc75636a",
         384, 22_713_216, "apache-2.0", "small and fast; the usual baseline for English", training_tasks=_WEB_SEARCH),
    _hub("minilm-l12", "sentence-transformers/all-MiniLM-L12-v2", "364dd28d28dcd3359b537f3cf1f5348ba679da62",
         384, 33_360_000, "apache-2.0", "MiniLM with twelve layers", training_tasks=_WEB_SEARCH),
    _hub("mpnet", "sentence-transformers/all-mpnet-base-v2", "9a3225965996d404b775526de6dbfe85d3368642",
         768, 109_486_464, "apache-2.0", "the strongest general model of the all-* family", training_tasks=_WEB_SEARCH),
    _hub("bge-small", "BAAI/bge-small-en-v1.5", "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
         384, 33_400_000, "mit", "retrieval, English, small", prompts=_BGE_PROMPTS, training_tasks=_BGE),
    _hub("bge", "BAAI/bge-base-en-v1.5", "a5beb1e3e68b9ab74eb54cfd186867f64f240e1a",
         768, 109_000_000, "mit", "retrieval, English, base size", prompts=_BGE_PROMPTS, training_tasks=_BGE),
    _hub("bge-large", "BAAI/bge-large-en-v1.5", "d4aa6901d3a41ba39fb536a557fa166f842b0e09",
         1024, 335_000_000, "mit", "retrieval, English, large", prompts=_BGE_PROMPTS, training_tasks=_BGE),
    _hub("bge-m3", "BAAI/bge-m3", "5617a9f61b028005a4858fdac845db406aefb181",
         1024, 568_000_000, "mit", "retrieval, over 100 languages, inputs up to 8192 tokens",
         languages=_BGE_M3_LANGUAGES, training_tasks=_BGE_M3, safetensors=False),
    _hub("bge-small-zh", "BAAI/bge-small-zh-v1.5", "7999e1d3359715c523056ef9478215996d62a620",
         512, 33_400_000, "mit", "retrieval, Chinese, small",
         languages=_CHINESE, prompts=_BGE_ZH_PROMPTS, training_tasks=_BGE_ZH),
    _hub("bge-base-zh", "BAAI/bge-base-zh-v1.5", "f03589ceff5aac7111bd60cfc7d497ca17ecac65",
         768, 109_000_000, "mit", "retrieval, Chinese, base size",
         languages=_CHINESE, prompts=_BGE_ZH_PROMPTS, training_tasks=_BGE_ZH, safetensors=False),
    _hub("e5-small", "intfloat/e5-small-v2", "dca8b1a9dae0d4575df2bf423a5edb485a431236",
         384, 33_000_000, "mit", "retrieval with query and passage prompts, small",
         prompts=_E5_PROMPTS, training_tasks=_WEB_SEARCH),
    _hub("e5-base", "intfloat/e5-base-v2", "1c644c92ad3ba1efdad3f1451a637716616a20e8",
         768, 109_000_000, "mit", "retrieval with query and passage prompts, base size",
         prompts=_E5_PROMPTS, training_tasks=_WEB_SEARCH),
    _hub("e5-large", "intfloat/e5-large-v2", "b322e09026e4ea05f42beadf4d661fb4e101d311",
         1024, 335_000_000, "mit", "retrieval with query and passage prompts, large",
         prompts=_E5_PROMPTS, training_tasks=_WEB_SEARCH),
    _hub("multilingual-e5-small", "intfloat/multilingual-e5-small", "fd1525a9fd15316a2d503bf26ab031a61d056e98",
         384, 118_000_000, "mit", "E5 for about 100 languages, small",
         languages=_E5_LANGUAGES, prompts=_E5_PROMPTS, training_tasks=_MULTILINGUAL_E5),
    _hub("multilingual-e5-base", "intfloat/multilingual-e5-base", "d13f1b27baf31030b7fd040960d60d909913633f",
         768, 278_000_000, "mit", "E5 for about 100 languages, base size",
         languages=_E5_LANGUAGES, prompts=_E5_PROMPTS, training_tasks=_MULTILINGUAL_E5),
    _hub("multilingual-e5-large", "intfloat/multilingual-e5-large", "ab10c1a7f42e74530fe7ae5be82e6d4f11a719eb",
         1024, 560_000_000, "mit", "E5 for about 100 languages, large",
         languages=_E5_LANGUAGES, prompts=_E5_PROMPTS, training_tasks=_MULTILINGUAL_E5),
    _hub("gte-small", "thenlper/gte-small", "17e1f347d17fe144873b1201da91788898c639cd",
         384, 33_360_512, "mit", "general, English, no prompts, small"),
    _hub("gte-base", "thenlper/gte-base", "c078288308d8dee004ab72c6191778064285ec0c",
         768, 109_482_752, "mit", "general, English, no prompts, base size"),
    _hub("gte-large", "thenlper/gte-large", "4bef63f39fcc5e2d6b0aae83089f307af4970164",
         1024, 335_142_400, "mit", "general, English, no prompts, large"),
    _hub("gte-modernbert", "Alibaba-NLP/gte-modernbert-base", "7ca8b4ca700621b67618669f5378fe5f5820b8e4",
         768, 149_014_272, "apache-2.0", "general and code, English, inputs up to 8192 tokens",
         training_tasks=_GTE_MODERNBERT),
    _hub("m3e-small", "moka-ai/m3e-small", "44c696631b2a8c200220aaaad5f987f096e986df",
         512, 23_953_920, _M3E_LICENSE, "Chinese and English, small",
         languages=_M3E_LANGUAGES, training_tasks=_M3E, safetensors=False),
    _hub("m3e-base", "moka-ai/m3e-base", "764b537a0e50e5c7d64db883f2d2e051cbe3c64c",
         768, 102_267_648, _M3E_LICENSE, "Chinese and English, base size",
         languages=_M3E_LANGUAGES, training_tasks=_M3E),
    _hub("nomic", "nomic-ai/nomic-embed-text-v1.5", "b0753ae76394dd36bcfb912a46018088bca48be0",
         768, 136_731_648, "apache-2.0", "prompts by task, inputs up to 8192 tokens, can be truncated; runs hub code",
         prompts=_NOMIC_PROMPTS, training_tasks=_NOMIC, loader="mteb"),
    _hub("potion-2m", "minishlab/potion-base-2M", "389b9f64be5aa4ae7a6bc6fe95ef20ce485ae5da",
         64, 2_000_000, "mit", "static word vectors, tiny", training_tasks=_BGE),
    _hub("potion-8m", "minishlab/potion-base-8M", "bf8b056651a2c21b8d2565580b8569da283cab23",
         256, 7_560_000, "mit", "static word vectors, small", training_tasks=_BGE),
    _hub("potion-32m", "minishlab/potion-base-32M", "1e5a03f8eeb2c98b928fbbd846f22f816360919f",
         512, 32_302_592, "mit", "static word vectors, the largest of the family", training_tasks=_BGE),
    Entry("minilm-static", "minilm-static", "static", "word vectors distilled from MiniLM on this machine"),
    Entry("tfidf", "tfidf", "tfidf", "term weights fitted on the task's own texts; the floor for every task"),
    Entry("bm25", "bm25", "bm25", "the classic ranking function; the floor for retrieval"),
)
# fmt: on
ALIASES: Mapping[str, str] = {"potion": "potion-8m"}

_BY_NAME: Mapping[str, Entry] = {entry.id: entry for entry in ENTRIES} | {entry.name: entry for entry in ENTRIES}
_BY_NAME = {**_BY_NAME, **{alias: _BY_NAME[name] for alias, name in ALIASES.items()}}
