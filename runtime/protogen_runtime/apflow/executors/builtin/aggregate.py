"""The executor `aggregate_results`: the results of a task's dependencies, in one object."""

from __future__ import annotations

from datetime import UTC, datetime

from protogen_runtime.apflow.executors.contract import Execution, JsonObject


class AggregateResults:
    """Returns `{summary, timestamp, results, result_count}`, `results` by task id beside what the inputs hold."""

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Put the results together."""
        return self.execute_now(inputs, execution)

    def execute_now(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """The same."""
        results = {**inputs, **execution.dependency_results()}
        count = len(results)
        summary = (
            f"Aggregated {count} task result{'' if count == 1 else 's'}" if count else "No task results to aggregate"
        )
        return {
            "summary": summary,
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "results": results,
            "result_count": count,
        }
