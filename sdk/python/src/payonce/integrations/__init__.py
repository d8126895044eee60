"""Adapters to frameworks, one module each; each imports its framework, and nothing else does."""
