"""Fixed texts on which an engine has to repeat the reference, and pairs on which a tier's scores are told apart.

    probe_texts(longest) ── short, odd and foreign texts; two with different ends that a model cuts
    PAIRS ── sentence pairs with a judgement from 0 (unrelated) to 5 (the same), written for benchkit

Both are part of what a result says ("60 probe pairs"): change them and figures of different versions no longer compare.
"""

from __future__ import annotations

# Lengths from no word to some thirty tokens, several languages and scripts, and what tokenizers treat in their own way:
# white space at both ends, special tokens written out, emoji, accents, long words, digits, control characters.
SHORT: tuple[str, ...] = (
    "",
    "fox",
    "  white space \t at both\nends  ",
    "A cat sat on the mat.",
    "[CLS] special [SEP] tokens <s> written </s> out <pad> [PAD] <mask>",
    "Der schnelle braune Fuchs springt über den faulen Hund; dann schläft er ein.",
    "El rápido zorro marrón salta sobre el perro perezoso. ¿Y después?",
    "快速的棕色狐狸跳过了懒狗，然后在树下睡着了。",
    "Лиса прыгает через собаку.",
    "الثعلب يقفز فوق الكلب",
    "Call at 17:45 🙂🚀: Donaudampfschiff for $3,999.00 (née Café)!",
    "In 1969 two people walked on the Moon while a third kept the orbiter ready, and half a billion watched them.",
)
# One is padded where they stand in one batch.
PADDED: tuple[str, ...] = (SHORT[1], SHORT[-1])
_PROMPT = "query: "
_LONGEST = 512  # of a probe, in tokens: more would cost more than the check is worth
_WORDS = (
    "river", "stone", "bright", "winter", "market", "engine", "quiet", "harbour", "window", "paper", "signal", "forest",
    "copper", "letter", "summer", "bridge", "garden", "number", "silver", "morning", "question", "travel", "music",
)  # fmt: skip


def prompted() -> tuple[str, tuple[str, ...]]:
    """Return a prompt and texts that go with it."""
    return _PROMPT, SHORT[3:6]


def long_text(longest: int | None) -> str:
    """Return a text of at least so many tokens, at least 512 where the limit is higher or there is none."""
    return cut_text(min(longest or _LONGEST, _LONGEST))


def cut_text(longest: int) -> str:
    """Return a text of more than so many tokens."""
    n_words = longest + 8  # a word is a token or more
    # A step that shares no factor with the number of words, so that no part of the text repeats the one before.
    return " ".join(_WORDS[(at * 7 + at // len(_WORDS)) % len(_WORDS)] for at in range(n_words))


# ---------------------------------------------------------------- pairs with a judgement

Pair = tuple[str, str, float]

PAIRS: tuple[Pair, ...] = (
    ("A man is playing a guitar on the street.", "A street musician plays the guitar.", 4.6),
    ("The committee rejected the proposal.", "The proposal was turned down by the committee.", 5.0),
    ("The train to Basel leaves at noon.", "The train from Basel arrives at noon.", 2.4),
    ("She bought three apples at the market.", "She sold three apples at the market.", 2.2),
    ("The server ran out of memory during the night.", "Last night the machine crashed for lack of memory.", 4.2),
    ("How do I reset my password?", "I have forgotten my password; how can I set a new one?", 4.6),
    ("How do I reset my password?", "How do I change my delivery address?", 1.2),
    ("The recipe needs two eggs and a cup of sugar.", "Add a cup of sugar and two eggs.", 4.4),
    ("The recipe needs two eggs and a cup of sugar.", "The hen laid two eggs this morning.", 0.8),
    ("Interest rates rose by half a percent.", "The central bank raised rates by fifty basis points.", 4.5),
    ("Interest rates rose by half a percent.", "Interest rates fell by half a percent.", 2.6),
    ("Interest rates rose by half a percent.", "The museum opens an exhibition on Roman glass.", 0.0),
    ("The dog chased the cat up a tree.", "A cat climbed a tree because a dog ran after it.", 4.5),
    ("The dog chased the cat up a tree.", "The cat chased the dog around the tree.", 2.5),
    ("A child is drawing with chalk.", "Kids play football in the park.", 1.0),
    ("Two teams are playing football in the rain.", "A soccer match goes on despite the wet weather.", 4.1),
    ("The patient was given ibuprofen for the fever.", "Ibuprofen was used to lower the patient's temperature.", 4.7),
    ("The patient was given ibuprofen for the fever.", "The nurse measured the patient's blood pressure.", 1.7),
    ("Glaciers in the Alps are shrinking quickly.", "Alpine ice is melting at a fast pace.", 4.7),
    ("Glaciers in the Alps are shrinking quickly.", "Many tourists ski in the Alps each winter.", 1.3),
    ("The novel was translated into forty languages.", "Readers in many countries know the book.", 2.9),
    ("He parked the car in front of the bank.", "He sat on the bank of the river.", 0.9),
    ("The bank approved her loan.", "Her application for a loan was accepted.", 4.3),
    ("The warranty covers repairs for two years.", "Repairs are free within the first two years.", 4.3),
    ("The warranty covers repairs for two years.", "The shop closes at two o'clock.", 0.3),
    ("Please turn off the lights when you leave.", "Switch the lamps off before going out.", 4.7),
    ("Please turn off the lights when you leave.", "Please leave the lights on.", 1.9),
    ("The volcano erupted without warning.", "Nobody had foreseen the eruption of the volcano.", 4.5),
    ("The volcano erupted without warning.", "The film was a great success in Japan.", 0.1),
    ("Bees carry pollen from flower to flower.", "Insects such as bees pollinate plants.", 3.9),
    ("Bees carry pollen from flower to flower.", "Honey never goes bad when it is sealed.", 1.4),
    ("The company hired fifty engineers this year.", "Fifty engineers joined the firm this year.", 4.7),
    ("The company hired fifty engineers this year.", "The company dismissed fifty engineers this year.", 2.3),
    ("The bridge was closed after the flood.", "Because of high water nobody may cross the bridge.", 3.8),
    ("The bridge was closed after the flood.", "A new bridge will be built next to the old one.", 1.6),
    ("Sorting a list takes n log n comparisons.", "A list can be sorted in O(n log n) time.", 4.4),
    ("Sorting a list takes n log n comparisons.", "The list of guests grew longer every day.", 0.4),
    ("The vaccine protects against three strains.", "Three variants of the virus are covered by the vaccine.", 4.6),
    ("The vaccine protects against three strains.", "The trial of the vaccine will begin next month.", 2.0),
    ("It has not rained here since May.", "There has been no rain in this area for months.", 4.0),
    ("It has not rained here since May.", "May was the wettest month of the year.", 1.5),
    ("The painting was stolen in 1990 and never found.", "A picture that thieves took in 1990 is still lost.", 4.8),
    ("The painting was stolen in 1990 and never found.", "The painting was restored in 1990.", 2.1),
    ("Der Zug hat eine Stunde Verspätung.", "Die Bahn kommt sechzig Minuten zu spät.", 4.7),
    ("Der Zug hat eine Stunde Verspätung.", "Das Flugzeug ist pünktlich gelandet.", 1.3),
    ("Der Hund schläft auf dem Sofa.", "The dog is asleep on the couch.", 4.8),
    ("Le gouvernement a baissé les impôts.", "Les impôts ont été réduits par le gouvernement.", 4.9),
    ("Le gouvernement a baissé les impôts.", "Le gouvernement a augmenté les impôts.", 2.4),
    ("La biblioteca cierra a las ocho.", "La biblioteca está abierta hasta las ocho de la tarde.", 4.3),
    ("La biblioteca cierra a las ocho.", "The kitchen smells of fresh bread.", 0.1),
    ("他昨天买了一辆新自行车。", "昨天他购买了一辆新的自行车。", 4.9),
    ("他昨天买了一辆新自行车。", "今天的天气非常好。", 0.2),
    ("会议推迟到下周一。", "会议改在下星期一举行。", 4.6),
    ("会议推迟到下周一。", "会议在上周一已经结束。", 1.8),
    ("The phone's battery lasts two days.", "You need to charge the phone every other day.", 4.0),
    ("The phone's battery lasts two days.", "The phone has a large screen.", 1.8),
    ("Workers went on strike for better pay.", "Employees stopped work to ask for higher wages.", 4.8),
    ("Workers went on strike for better pay.", "Workers built the new stadium within a year.", 1.1),
    ("Water boils at a lower temperature on a mountain.", "At high altitude water boils sooner.", 4.3),
    ("Water boils at a lower temperature on a mountain.", "The mountain path was covered with snow.", 1.0),
)
