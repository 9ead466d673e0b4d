"""``place`` written again, the slow and plain way, on the standard library alone: what both say is what is meant.

Members are ``(name, weight)``. Run as a program it prints ``tests/vectors/rendezvous.json``, whose homes may never
change: every group in the world would move its partitions with that release.
"""

import json
from fractions import Fraction
from hashlib import shake_128
from math import ceil, floor, log

ABOUT = (
    "shake128 of 'length:name' + salt as little-endian 64-bit numbers, one per partition, and bounded rendezvous by "
    "greedy choice over all (score, partition, member), computed by tests/support/rendezvous.py"
)
NAMES = ("", "a", "w1", "worker-12", "é", "🦜", "host.example.org-1", "x" * 300)
CASES = (
    {"members": [["a", 1]], "partitions": 5, "standbys": 2},
    {"members": [["a", 1], ["b", 1], ["c", 1]], "partitions": 8, "standbys": 1},
    {"members": [["w1", 1], ["w2", 1], ["w3", 1]], "partitions": 64, "standbys": 1},
    {"members": [["w1", 1], ["w2", 1], ["w3", 1]], "partitions": 64, "standbys": 2, "load_factor": 1.0},
    {"members": [["w1", 2], ["w2", 2], ["w3", 2]], "partitions": 24, "standbys": 1},
    {"members": [["w1", 1], ["w2", 2], ["w3", 0.5]], "partitions": 48, "standbys": 1},
    {"members": [["w1", 1], ["w2", 2], ["w3", 0.5]], "partitions": 48, "standbys": 1, "load_factor": 1.0},
    {"members": [["é", 1], ["🦜", 1], ["", 1]], "partitions": 16, "standbys": 1, "salt": "s"},
    {"members": [[f"host-{n}", 1] for n in range(10)], "partitions": 12, "standbys": 1, "load_factor": 2.0},
    {"members": [[f"host-{n}", 1] for n in range(7)], "partitions": 3, "standbys": 3},
    {"members": [[f"w{n}", 1] for n in range(20)], "partitions": 256, "standbys": 1},
)


def hashes(name, salt, partitions):
    data = shake_128(f"{len(name)}:{name}{salt}".encode()).digest(8 * partitions)
    return [int.from_bytes(data[8 * p : 8 * p + 8], "little") for p in range(partitions)]


def scores(members, partitions, salt=""):
    """(member, partition) to score."""
    equal = len({weight for _, weight in members}) == 1
    return {
        (name, p): value if equal else -weight / log((value // 4096 + 0.5) / 2**52)
        for name, weight in members
        for p, value in enumerate(hashes(name, salt, partitions))
    }


def room(members, partitions, load_factor):
    total = sum(Fraction(weight) for _, weight in members)
    shares = {name: partitions * Fraction(weight) / total for name, weight in members}
    return {name: max(ceil(share), floor(share * Fraction(load_factor))) for name, share in shares.items()}


def place(members, partitions, *, standbys=0, load_factor=1.25, salt=""):
    """Owners, and the standbys of every partition."""
    score = scores(members, partitions, salt)
    best_first = sorted(score, key=score.__getitem__, reverse=True)
    caps = room(members, partitions, load_factor)
    owners = {}
    for name, p in best_first:
        if p not in owners and list(owners.values()).count(name) < caps[name]:
            owners[p] = name
    for name, p in best_first if partitions >= len(members) else ():
        owned = list(owners.values())
        # Whoever was idle at first and still is, from someone who keeps another one.
        if name not in owned and owned.count(owners[p]) > 1:
            owners[p] = name
    caps = room(members, partitions * standbys, load_factor)
    load = dict.fromkeys(caps, 0)
    lines = []
    for p in range(partitions):
        others = sorted((name for name in caps if name != owners[p]), key=lambda n: score[n, p], reverse=True)
        free = [name for name in others if load[name] < caps[name]]
        full = sorted((name for name in others if name not in free), key=load.__getitem__)
        lines.append([*free, *full][:standbys])
        for name in lines[-1]:
            load[name] += 1
    return [owners[p] for p in range(partitions)], lines


def answer(case):
    options = {key: value for key, value in case.items() if key not in {"members", "partitions"}}
    owners, lines = place(case["members"], case["partitions"], **options)
    return {**case, "owners": owners, "lines": lines}


def vectors():
    return {
        "about": ABOUT,
        "hashes": [{"name": name, "hash": [f"{h:016x}" for h in hashes(name, "", 4)]} for name in NAMES],
        "cases": [answer(case) for case in CASES],
    }


def text():
    """One line per hash and case, so that a difference can be read."""
    found = vectors()
    parts = [f' "about": {json.dumps(found["about"])}']
    for key in ("hashes", "cases"):
        lines = ",\n".join(f"  {json.dumps(each, ensure_ascii=False)}" for each in found[key])
        parts.append(f' "{key}": [\n{lines}\n ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    print(text(), end="")
