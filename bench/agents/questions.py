"""Questions on this repository whose answers are constants in its sources, each in two wordings. Some are near others
and have other answers: key and metadata, record and segment."""

from __future__ import annotations

import dataclasses
import pathlib
import re


@dataclasses.dataclass(frozen=True)
class Question:
    first: str
    second: str
    path: str
    name: str  # of the constant, as it is declared


QUESTIONS = [
    Question(
        "How many bytes of metadata may a record on disk have at most?",
        "What is the upper limit, in bytes, of the metadata of a disk record?",
        "src/cache/record.h",
        "size_t kMaxMetaBytes =",
    ),
    Question(
        "How many bytes of key may a record on disk have at most?",
        "What is the upper limit, in bytes, of the key of a disk record?",
        "src/cache/record.h",
        "size_t kMaxKeyBytes =",
    ),
    Question(
        "How long is the header of a segment on disk?",
        "What is the length of a disk segment's header?",
        "src/cache/record.h",
        "size_t kSegmentHeaderBytes =",
    ),
    Question(
        "How long is the header of a record on disk?",
        "What is the length of a disk record's header?",
        "src/cache/record.h",
        "size_t kRecordHeaderBytes =",
    ),
    Question(
        "How many tokens does a page of the KV cache hold?",
        "What number of tokens fits into one KV cache page?",
        "src/engine/ops/pages.h",
        "int kPageTokens =",
    ),
    Question(
        "How large may a frame on the agents' Unix socket be?",
        "What is the maximum size of a frame on the Unix socket of the agent API?",
        "src/agent/api/frame.h",
        "uint32_t kMaxFrameBytes =",
    ),
    Question(
        "After how many milliseconds do pending entries of a run expire?",
        "How many milliseconds pass until the pending entries of a run expire?",
        "src/agent/runs.h",
        "int64_t kTtl_ms =",
    ),
    Question(
        "How many connections does the agent socket server take at most?",
        "What is the maximum number of connections of the agent socket server?",
        "src/agent/api/socket_server.h",
        "size_t kMaxConnections =",
    ),
    Question(
        "How many links does the prefix memory of the router keep at most?",
        "What is the largest number of links that the router's prefix memory keeps?",
        "src/route/prefix_memory.h",
        "size_t kMaxLinks =",
    ),
    Question(
        "From how many tokens on does a rebuild count in the history?",
        "What is the minimum number of tokens for the history to count a rebuild?",
        "src/history/rebuilds.h",
        "int64_t kMinRebuildTokens =",
    ),
]


def fact_of(root: pathlib.Path, question: Question) -> str:
    """The constant's value as the source has it now."""
    found = re.search(f"{question.name} (.*?);", (root / question.path).read_text())
    assert found, question
    return found.group(1)
