"""Folding random pages: they count as a straight-line computation does, in any order, and nothing raises."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from random import Random

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.syncs.merging import merge
from worker.clusters import RECIPE, Aggregate, fold, summarise
from worker.clusters.parsing.words import is_placeholder

# Whatever JSON can hold, and then some: the standard parser also makes NaN, infinities and lone surrogates.
odd = st.sampled_from(
    [
        10**400,
        -(10**400),
        2**63,
        float("nan"),
        float("inf"),
        1e16,
        "\ud800",
        "1_0",
        "٣",
        "nan",
        " ",
        "x" * 101,
    ]
)
amount = st.floats(-1e15, 1e15) | st.integers(-2000, 2000) | st.sampled_from([0, "12.5", "-3", " 700 ", "1e3", ".5"])
share = st.floats(0, 1) | st.sampled_from([0, 1, "0.05", "0.3", 0.15, 0.4])
word = st.sampled_from(["SaaS", " SaaS", "Real  estate", "Agency", "", " "])
# Placeholders and markup have tests of their own.
text = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=("P", "S")), max_size=4)
dirt = st.none() | st.booleans() | odd | st.lists(st.integers(), max_size=2) | text


def present(key: str, clean: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.just({}) | clean.map(lambda value: {key: value}) | dirt.map(lambda value: {key: value})


def union(parts: Iterable[dict[str, object]]) -> dict[str, object]:
    return {key: value for part in parts for key, value in part.items()}


traits = st.tuples(
    present("ltv", amount),
    present("lifetime_value", amount),
    present("purchase_count", amount),
    present("order_count", amount),
    present("churn_risk", share),
    present("churn_probability", share),
    present("industry", word),
    present("plan", word),
).map(union)
profile = traits.map(lambda each: {"id": "use_1", "traits": each}) | dirt.map(lambda each: {"traits": each}) | dirt
space = st.lists(profile, max_size=40)


class Truth:
    """What the numbers mean, in one straight line: profile by profile, with fractions for the sums."""

    def __init__(self, profiles: list[object]) -> None:
        self.errors: Counter[str] = Counter()
        self.profiles = self.profile_errors = self.unclassified = 0
        self.n: Counter[str] = Counter()
        self.values: dict[tuple[str, str], list[Fraction]] = {}
        self.words: dict[tuple[str, str], Counter[str]] = {}
        for entry in profiles:
            if not isinstance(entry, dict):
                self.profile_errors += 1
                continue
            self.profiles += 1
            self.profile(entry.get("traits"))

    def profile(self, traits: object) -> None:
        if not isinstance(traits, dict):
            self.errors["traits"] += traits is not None
            traits = {}
        ltv = self.number(traits, "ltv", "lifetime_value", 10**15)
        purchases = self.number(traits, "purchase_count", "order_count", 10**15)
        churn = self.number(traits, "churn_risk", "churn_probability", 1)
        industry, plan = self.word(traits, "industry", "industries"), self.word(traits, "plan", "plans")
        if ltv is purchases is churn is None:
            self.unclassified += 1
            return
        rule_ltv, rule_purchases = ltv or 0, purchases or 0
        rule_churn = Fraction(1, 2) if churn is None else churn
        if rule_ltv > 500 and rule_churn < Fraction(0.15):
            key = "high_value"
        elif rule_ltv > 100 and rule_purchases >= 2:
            key = "growth"
        else:
            key = "at_risk" if rule_churn > Fraction(0.4) else "new"
        self.n[key] += 1
        for trait, number in (("ltv", ltv), ("purchase_count", purchases), ("churn_risk", churn)):
            if number is not None:
                self.values.setdefault((key, trait), []).append(number)
        for trait, text in (("industries", industry), ("plans", plan)):
            if text is not None:
                self.words.setdefault((key, trait), Counter())[text] += 1

    def number(self, traits: dict[str, object], first: str, second: str, highest: int) -> Fraction | None:
        wrong = False
        for key in (first, second):
            value = traits.get(key)
            if value is None or value == "":
                continue
            number = None
            if isinstance(value, str) and set(value) <= set("0123456789+-.eE "):
                with suppress(ValueError, OverflowError):
                    number = Fraction(float(value))
            elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e15:
                number = Fraction(value)
            if number is not None and (0 if highest == 1 else -highest) <= number <= highest:
                self.errors[first] += wrong
                return number
            wrong = True
        self.errors[first] += wrong
        return None

    def word(self, traits: dict[str, object], key: str, name: str) -> str | None:
        value = traits.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > 100 or any("\ud800" <= c <= "\udfff" for c in value):
            self.errors[name] += 1
            return None
        shown = "".join(c for c in " ".join(value.split()) if c == " " or c.isprintable())
        found = " ".join(unicodedata.normalize("NFC", shown).split())
        return None if not found or is_placeholder(found) else found

    def check(self, aggregate: Aggregate) -> None:
        assert aggregate.profiles == self.profiles
        assert aggregate.profile_errors == self.profile_errors
        assert aggregate.unclassified == self.unclassified
        assert aggregate.trait_errors == +self.errors
        assert 0 not in aggregate.trait_errors.values()
        assert set(aggregate.clusters) == set(self.n)
        for summary in summarise(aggregate):
            assert summary.n == self.n[summary.key]
            for trait, number in summary.numbers.items():
                values = self.values.get((summary.key, trait), [])
                assert number.coverage == len(values)
                assert number.mean == (float(sum(values) / len(values)) if values else None)
        for key, cluster in aggregate.clusters.items():
            for trait, category in cluster.categories.items():
                words = self.words.get((key, trait), Counter())
                assert (category.count, category.counts, category.error) == (words.total(), words, 0)


@examples(100, thorough=1500)
@given(space)
@example([{"traits": {"churn_risk": 0, "plan": "NULL"}}])
def test_a_page_counts_as_a_straight_line_computation_does(profiles: list[object]) -> None:
    aggregate = Aggregate()
    fold(aggregate, profiles)
    Truth(profiles).check(aggregate)


@examples(60, thorough=750)
@given(space, st.randoms(use_true_random=False), st.lists(st.integers(0, 40), max_size=5))
def test_split_and_order_of_pages_change_nothing_but_rounding_of_spread(
    profiles: list[object], random: Random, cuts: list[int]
) -> None:
    whole = Aggregate()
    fold(whole, profiles)
    shuffled = random.sample(profiles, len(profiles))
    edges = [0, *sorted(cuts), len(profiles)]
    pages = [shuffled[start:end] for start, end in pairwise(edges)]

    running = Aggregate()
    parts = []
    for page in pages:
        fold(running, page)
        running = Aggregate.from_bytes(running.to_bytes())
        part = Aggregate()
        fold(part, page)
        parts.append(part)
    random.shuffle(parts)
    merged = Aggregate()
    for part in parts:
        merged = merge(merged, part)

    assert without_spread(running) == without_spread(merged) == without_spread(whole)
    for key, cluster in whole.clusters.items():
        for trait, number in cluster.numbers.items():
            for other in (running, merged):
                std = other.clusters[key].numbers[trait].std
                assert std == (None if number.std is None else pytest.approx(number.std, rel=1e-9))


def without_spread(aggregate: Aggregate) -> object:
    """The bytes of an aggregate as a document, without the one figure that depends on how values were grouped."""
    document = orjson.loads(aggregate.to_bytes())
    for cluster in document["clusters"].values():
        for number in cluster["numbers"].values():
            del number["squares"]
    return document


json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | odd,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["traits", "ltv", "churn_risk", "order_count", "industry", "plan"]) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
)


@given(st.lists(json_value | st.fixed_dictionaries({"traits": json_value})))
def test_nothing_that_json_can_hold_makes_a_fold_raise(profiles: list[object]) -> None:
    aggregate = Aggregate()
    fold(aggregate, profiles)
    assert aggregate.profiles + aggregate.profile_errors == len(profiles)
    assert aggregate.profiles == aggregate.unclassified + sum(cluster.n for cluster in aggregate.clusters.values())
    assert Aggregate.from_bytes(aggregate.to_bytes()) == aggregate


def test_a_large_dirty_space_in_pages_equals_the_straight_line() -> None:
    random = Random(7)
    values: list[object] = [
        None,
        "",
        "x",
        True,
        -1,
        0,
        3,
        0.2,
        0.9,
        150.75,
        900.1,
        "620.30",
        "0.05",
        1e15,
        [],
        {},
    ]
    keys = ["ltv", "lifetime_value", "purchase_count", "churn_risk", "churn_probability"]
    words: list[object] = ["SaaS", "Agency", " Real  estate", None, 4, ["SaaS"], "x" * 101]

    def entry() -> object:
        traits = {key: random.choice(values) for key in keys if random.random() < 0.6}
        traits |= {key: random.choice(words) for key in ("industry", "plan") if random.random() < 0.6}
        return random.choices([{"traits": traits}, {"traits": None}, None], [0.98, 0.01, 0.01])[0]

    profiles = [entry() for _ in range(5_000)]
    aggregate = Aggregate()
    for start in range(0, len(profiles), 200):
        fold(aggregate, profiles[start : start + 200])
    Truth(profiles).check(aggregate)
    assert set(aggregate.clusters) == set(RECIPE.cluster_keys)
