"""Writes a LightGBM model in the format of docs/formats/verifier-model.md, and evaluates such a file in Python."""

import hashlib
import struct

import numpy as np

MAGIC = b"PAYOTREE"
VERSION = 1


def floor_f32(value):
    """The largest float32 that is not above `value`: on float32 features it decides as `value` does."""
    single = np.float32(min(value,
        float(np.finfo(np.float32).max)))  # "any number that is not missing" is over its range
    return single if float(single) <= value else np.nextafter(single, np.float32(-np.inf))


def tree_bytes(structure):
    """One tree: nodes before their children, leaves in the order of the walk."""
    nodes, leaves = [], []

    def visit(node):
        if "leaf_value" in node:
            leaves.append(node["leaf_value"])
            return -len(leaves)
        assert node["decision_type"] == "<=" and node["missing_type"] in ("None", "NaN"), node
        # LightGBM takes a missing value for 0 in a split that saw none in training.
        left = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
        position = len(nodes)
        nodes.append([node["split_feature"], int(left), floor_f32(node["threshold"]), 0, 0])
        nodes[position][3] = visit(node["left_child"])
        nodes[position][4] = visit(node["right_child"])
        return position

    visit(structure)
    return b"".join([struct.pack("<H", len(leaves)), *(struct.pack("<HBfhh", *node) for node in nodes),
                     struct.pack(f"<{len(leaves)}d", *leaves)])


def model_bytes(booster, names, scale, offset):
    body = MAGIC + struct.pack("<IH", VERSION, len(names))
    body += b"".join(struct.pack("<B", len(name)) + name.encode() for name in names)
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    body += struct.pack("<ddI", scale, offset, len(trees)) + b"".join(map(tree_bytes, trees))
    return body + hashlib.sha256(body).digest()
