#!/usr/bin/env python3
"""Writes src/llm/data/prices.json from the full price table (see src/llm/data/README.md): only what Payonce reads.

usage: tools/reduce_prices.py FULL.json > src/llm/data/prices.json
"""
import json
import sys

FIELDS = ("in", "out", "cache_read", "cache_write", "cache_write_1h", "in_batch", "out_batch", "cache_read_batch")
RANGE_FIELDS = (("in", "input_cost_per_token"), ("out", "output_cost_per_token"),
                ("cache_read", "cache_read_input_token_cost"))

# What the source does not hold: prices announced for a later day, and what another region costs.
CHANGES = {
    "gemini-3.8-flash": [{"from": "2027-01-01", "cache_read": 0.15}],
    "gemini/gemini-3.8-flash": [{"from": "2027-01-01", "cache_read": 0.15}],
}
US_ONLY_FACTOR = {"anthropic": 1.1}  # inference_geo: "us"; platform.claude.com, copy of 2026-08-21


def number(row, name):
    return row.get(name) if isinstance(row.get(name), (int, float)) else None


def tier(row, full):
    out = {"above": int(row["above"].rstrip("k")) * 1000}
    for name in FIELDS[:5]:
        if number(row, name) is not None and (name in full or name in ("in", "out")):
            out[name] = row[name]
    return out


def reduce_row(model, full):
    row = {}
    tiers = []
    for part in full.get("tiered", []):  # the first range is the price, the others are tiers
        prices = {ours: part[theirs] for ours, theirs in RANGE_FIELDS if theirs in part}
        if part["range"][0] == 0:
            row.update(prices)
        else:
            tiers.append({"above": int(part["range"][0])} | prices)
    for name in FIELDS:
        if number(full, name) is not None and not (name == "cache_write" and full[name] == 0):
            row[name] = full[name]  # a write price of 0 means "no surcharge": such tokens cost the input price
    if "tier" in full:
        tiers.append(tier(full["tier"], full))
    if tiers:
        row["tiers"] = tiers
    if full["provider"] in US_ONLY_FACTOR:
        row["us_only"] = US_ONLY_FACTOR[full["provider"]]
    if model in CHANGES:
        row["changes"] = CHANGES[model]
    return row


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        full = json.load(file)
    provenance = full["_provenance"]
    provenance["note"] = provenance["note"].rstrip(".") + "; reduced to the fields that Payonce reads"
    print("{")
    print(f'"_provenance": {json.dumps(provenance)},')
    print('"models": {')
    rows = [f" {json.dumps(model)}: {json.dumps(reduce_row(model, row))}" for model, row in full["models"].items()]
    print(",\n".join(rows))
    print("}\n}")


if __name__ == "__main__":
    main()
