"""Short codes of languages, as people write them in a policy: "zho-Hans" -> "zh".

Source: ISO 639-1 and 639-3. MTEB names a language by its ISO 639-3 code and its script; a slice is asked for by the
two letters that the language has in ISO 639-1, or by the three where it has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

# ISO 639-2's code for what holds several languages.
MULTIPLE = "mul"
_MOST_NAMED = 2

_ISO_639_1 = """
aar:aa abk:ab ave:ae afr:af aka:ak amh:am arg:an ara:ar asm:as ava:av aym:ay aze:az bak:ba bel:be bul:bg bis:bi
bam:bm ben:bn bod:bo bre:br bos:bs cat:ca che:ce cha:ch cos:co cre:cr ces:cs chu:cu chv:cv cym:cy dan:da deu:de
div:dv dzo:dz ewe:ee ell:el eng:en epo:eo spa:es est:et eus:eu fas:fa ful:ff fin:fi fij:fj fao:fo fra:fr fry:fy
gle:ga gla:gd glg:gl grn:gn guj:gu glv:gv hau:ha heb:he hin:hi hmo:ho hrv:hr hat:ht hun:hu hye:hy her:hz ina:ia
ind:id ile:ie ibo:ig iii:ii ipk:ik ido:io isl:is ita:it iku:iu jpn:ja jav:jv kat:ka kon:kg kik:ki kua:kj kaz:kk
kal:kl khm:km kan:kn kor:ko kau:kr kas:ks kur:ku kom:kv cor:kw kir:ky lat:la ltz:lb lug:lg lim:li lin:ln lao:lo
lit:lt lub:lu lav:lv mlg:mg mah:mh mri:mi mkd:mk mal:ml mon:mn mar:mr msa:ms mlt:mt mya:my nau:na nob:nb nde:nd
nep:ne ndo:ng nld:nl nno:nn nor:no nbl:nr nav:nv nya:ny oci:oc oji:oj orm:om ori:or oss:os pan:pa pli:pi pol:pl
pus:ps por:pt que:qu roh:rm run:rn ron:ro rus:ru kin:rw san:sa srd:sc snd:sd sme:se sag:sg sin:si slk:sk slv:sl
smo:sm sna:sn som:so sqi:sq srp:sr ssw:ss sot:st sun:su swe:sv swa:sw tam:ta tel:te tgk:tg tha:th tir:ti tuk:tk
tgl:tl tsn:tn ton:to tur:tr tso:ts tat:tt twi:tw tah:ty uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wln:wa
wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
"""
# The member of a macrolanguage that its two letters stand for where nothing else is said. Other members, such as
# Cantonese (yue) and Moroccan Arabic (ary), keep their own three letters.
_STANDARD_MEMBERS = """
als:sq arb:ar ayr:ay azj:az cmn:zh ekk:et fuv:ff gaz:om khk:mn kmr:ku knc:kr lvs:lv npi:ne ory:or pbt:ps pes:fa
plt:mg quy:qu swh:sw uzn:uz ydd:yi zsm:ms
"""


def language_code(name: str) -> str:
    """Return the ISO 639-1 code of "zho-Hans" or "zho", or the three letters where it has none.

    >>> language_code("cmn-Hans"), language_code("yue-Hant"), language_code("python-Code")
    ('zh', 'yue', 'python')
    """
    language = name.partition("-")[0]
    return _two_letters().get(language, language)


def language_tag(names: Sequence[str]) -> str:
    """Return one tag for the languages of a subset: "en", "de-en" for a pair in its order, "mul" for more, "" for none.

    >>> language_tag(["deu-Latn", "eng-Latn"]), language_tag(["ara-Arab", "ara-Arab"])
    ('de-en', 'ar')
    """
    codes = list(dict.fromkeys(map(language_code, names)))
    return "-".join(codes) if len(codes) <= _MOST_NAMED else MULTIPLE


@cache
def _two_letters() -> dict[str, str]:
    return dict(pair.split(":") for pair in (_ISO_639_1 + _STANDARD_MEMBERS).split())
