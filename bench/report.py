"""What a suite measured, as data and as a table."""

from __future__ import annotations

from statistics import median

import msgspec


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of one contender: seconds, in the order they were taken."""

    name: str
    seconds: tuple[float, ...]

    @property
    def least(self) -> float:
        """The smallest measurement: what the work costs when nothing disturbs it."""
        return min(self.seconds)

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.seconds)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that was promised and what came of it; `unit` follows both numbers."""

    name: str
    measured: float
    most: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.measured <= self.most


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that one suite measured; `base` names the series that ratios refer to."""

    unit: str
    base: str
    series: tuple[Series, ...]
    targets: tuple[Target, ...]
    versions: dict[str, str]
    notes: tuple[str, ...] = ()


def table(report: Report) -> str:
    """The report for people: one line per series, then the targets, versions and notes."""
    base = next(entry.least for entry in report.series if entry.name == report.base)
    width = max(len(entry.name) for entry in (*report.series, *report.targets))
    width = max(width, len(report.unit))
    lines = [f"{report.unit:<{width}}  {'minimum':>9}  {'median':>9}  {'ratio':>7}"]
    lines += [
        f"{entry.name:<{width}}  {entry.least:>9.3f}  {entry.middle:>9.3f}  {entry.least / base:>7.2f}"
        for entry in report.series
    ]
    lines.append("")
    lines += [
        f"{target.name:<{width}}  {target.measured:>9.3f}  of at most {target.most:g} {target.unit}".rstrip()
        + ("" if target.met else "  MISSED")
        for target in report.targets
    ]
    lines.append("")
    lines += [f"{name} {version}" for name, version in report.versions.items()]
    lines += report.notes
    return "\n".join(lines) + "\n"
