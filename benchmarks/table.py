"""The one table."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Numbers, Result


def show(results: Sequence[Result]) -> None:
    table = Table(title="PyTake ÷ floor", title_justify="left")
    table.add_column("operation")
    table.add_column("side")
    for name in ("per second", "p50 ms", "p99 ms", "server CPU ms", "PostgreSQL CPU ms"):
        table.add_column(name, justify="right")
    table.add_column("checked")
    for result in results:
        table.add_row(result.title, "PyTake", *_cells(result.product), result.answer)
        if result.floor and result.ratio:
            table.add_row("", result.floor_name, *_cells(result.floor))
            table.add_row("", "÷", *_cells(result.ratio), style="bold")
        table.add_section()
    Console(width=170).print(table)


def show_counts(counts: Sequence[tuple[str, Sequence[int]]], names: Sequence[str]) -> None:
    table = Table(title="Counted in one process, the same in each run", title_justify="left")
    table.add_column("operation")
    for name in names:
        table.add_column(name, justify="right")
    for title, numbers in counts:
        table.add_row(title, *map(str, numbers))
    Console(width=170).print(table)


def _cells(numbers: Numbers) -> list[str]:
    return ["–" if value is None else _short(value) for value in numbers.values]


def _short(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
