"""Rules with conditions made up at random."""

from __future__ import annotations

from random import Random
from typing import Any

from worker.clusters import Rules


def random_condition(random: Random, traits: list[dict[str, Any]], depth: int = 0) -> dict[str, Any]:
    kind = random.choice(["trait"] * 3 + ["all", "any", "not"] * (depth < 2))
    if kind == "not":
        return {"not": random_condition(random, traits, depth + 1)}
    if kind != "trait":
        return {kind: [random_condition(random, traits, depth + 1) for _ in range(random.randint(1, 3))]}
    trait = random.choice(traits)
    words = ["Café", "a", "api", "unknown", "SaaS", "pro 2024", 'x"\\y', "it's"]
    sign = random.choice(["gt", "gte", "lt", "lte"])
    choices: dict[str, list[dict[str, Any]]] = {
        "number": [{sign: random.choice([0.0, 0.15, 0.5, 1.0])}, {"eq": 1.0}, {"in": [0.0, 0.5, 1.0]}],
        "date": [{sign: random.choice([-30.0, 0.0, 30.0, 4000.0])}],
        "boolean": [{"eq": True}, {"eq": False}],
        "category": [{"eq": random.choice(words)}, {"in": random.sample(words, 3)}],
        "list": [{"eq": random.choice(words)}, {"in": random.sample(words, 3)}],
    }
    return {"trait": trait["name"], **random.choice([*choices[trait["type"]], {"missing": random.random() < 0.5}])}


def random_rules(random: Random) -> Rules:
    traits: list[dict[str, Any]] = []
    for i in range(random.randint(1, 6)):
        kind = random.choice(["number", "number", "date", "boolean", "category", "list"])
        keys = [f"k{i}", f"other {i}", f"k{(i + 1) % 6}"][: random.randint(1, 3)]
        trait: dict[str, Any] = {"name": f"t{i}", "keys": keys, "type": kind}
        if kind == "number":
            trait["scale"] = random.choice(["plain", "probability", "percent", "percentile"])
        if random.random() < 0.3 and kind != "list":
            trait["missing"] = {"number": 0.5, "date": 30.0, "boolean": False, "category": "a"}[kind]
        if random.random() < 0.3:
            trait["max_age_days"] = random.choice([1.0, 400.0, 9000.0])
        traits.append(trait)
    clusters: list[dict[str, Any]] = []
    while len(clusters) < 3:
        rules = {"name": "random", "traits": traits, "clusters": [*clusters, {"key": f"c{len(clusters)}"}]}
        rules["clusters"][-1]["when"] = random_condition(random, traits)
        try:
            Rules.model_validate(rules)
        except ValueError:  # a condition that can never hold, or is there already
            continue
        clusters = rules["clusters"]
    rules["clusters"] = clusters + [{"key": "rest"}] * (random.random() < 0.5)
    while random.random() < 0.5:
        try:
            return Rules.model_validate({**rules, "filter": random_condition(random, traits)})
        except ValueError:
            continue
    return Rules.model_validate(rules)
