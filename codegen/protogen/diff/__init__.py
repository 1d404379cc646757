"""Two versions of protocols side by side: what differs, whom it breaks, and what the version must say of it."""

from .protocols import Diff, Finding, compare_protocols, whole_protocol
from .rules import CATEGORIES, RULE, RULES, Category, Rule, Upgrade

__all__ = [
    "CATEGORIES",
    "RULE",
    "RULES",
    "Category",
    "Diff",
    "Finding",
    "Rule",
    "Upgrade",
    "compare_protocols",
    "whole_protocol",
]
